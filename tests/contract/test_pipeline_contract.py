"""What `Pipeline` promises, of the fake, of AWS Data Pipeline (moto) and of a nested state machine (MiniStack)."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.stub import Stubber
from tests.contract.engines import client
from tests.fakes.clock import FakeClock
from tests.fakes.pipeline import FakePipeline

from penstock.adapters.pipelines import (
    GONE,
    DataPipeline,
    StateMachinePipeline,
    execution_name,
    parameter_id,
    status_of,
)
from penstock.model.errors import PermanentError
from penstock.ports import Pipeline

ROLE = "arn:aws:iam::000000000000:role/any"
PASSES = {"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}}


@dataclass
class Activations:
    """moto forgets what a pipeline was activated with, so the request itself is kept on its way out."""

    client: Any

    def __post_init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.client.meta.events.register(
            "provide-client-params.datapipeline.ActivatePipeline", lambda params, **_: self.sent.append(params)
        )


@pytest.fixture
def data_pipeline(moto_endpoint: str) -> tuple[Activations, str]:
    there = client("datapipeline", moto_endpoint)
    made = there.create_pipeline(name="after-the-load", uniqueId=uuid.uuid4().hex)["pipelineId"]
    there.put_pipeline_definition(
        pipelineId=made,
        pipelineObjects=[{"id": "Default", "name": "Default", "fields": [{"key": "type", "stringValue": "Default"}]}],
    )
    return Activations(there), made


@pytest.fixture
def machine(aws: str) -> tuple[Any, str]:
    states = client("stepfunctions", aws)
    name = f"after-{uuid.uuid4().hex[:8]}"
    return states, states.create_state_machine(name=name, definition=json.dumps(PASSES), roleArn=ROLE)[
        "stateMachineArn"
    ]


@pytest.fixture(params=["fake", "data pipeline", "state machine"])
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    if request.param == "fake":
        return FakePipeline()
    if request.param == "data pipeline":
        activations, made = request.getfixturevalue("data_pipeline")
        return DataPipeline(activations.client, made, FakeClock())
    return StateMachinePipeline(*request.getfixturevalue("machine"))


def test_starting_gives_a_reference(pipeline: Pipeline) -> None:
    assert pipeline.start("20260115T100000-000-aaaaaaaa", "flights", {"table": "public.flights"})


def test_starting_twice_is_no_error(pipeline: Pipeline) -> None:
    pipeline.start("run", "flights", {})
    pipeline.start("run", "flights", {})


def test_what_was_started_has_a_status(data_pipeline: tuple[Activations, str], machine: tuple[Any, str]) -> None:
    activations, made = data_pipeline
    states, arn = machine
    clients = {"datapipeline": activations.client, "stepfunctions": states}.__getitem__

    assert status_of(clients, DataPipeline(activations.client, made, FakeClock()).start("r", "d", {})) == "SCHEDULED"
    execution = StateMachinePipeline(states, arn).start("r", "d", {})
    while status_of(clients, execution) == "RUNNING":
        pass
    assert status_of(clients, execution) == "SUCCEEDED"


def test_what_is_there_no_more_is_gone(aws: str) -> None:
    pipelines = client("datapipeline", aws)

    assert (
        status_of(lambda _: client("stepfunctions", aws), f"{ROLE.replace('iam', 'states')}:execution:none:x") == GONE
    )
    with Stubber(pipelines) as answers:
        answers.add_client_error("describe_pipelines", "PipelineDeletedException", "deleted", 400)
        assert status_of(lambda _: pipelines, "df-none from 2026-01-01T00:00:00+00:00") == GONE


def test_a_data_pipeline_that_is_not_healthy_says_so(aws: str) -> None:
    pipelines = client("datapipeline", aws)
    fields = [
        {"key": "@pipelineState", "stringValue": "SCHEDULED"},
        {"key": "@healthStatus", "stringValue": "ERROR"},
        {"key": "@owner", "refValue": "me"},
    ]
    described = {"pipelineId": "df-1", "name": "after-load", "fields": fields}
    with Stubber(pipelines) as answers:
        answers.add_response("describe_pipelines", {"pipelineDescriptionList": [described]})

        assert status_of(lambda _: pipelines, "df-1 from now") == "SCHEDULED (ERROR)"


def test_the_data_pipeline_is_activated_with_the_run_and_the_datasets_own_parameters(
    data_pipeline: tuple[Activations, str],
) -> None:
    activations, made = data_pipeline
    clock = FakeClock()

    reference = DataPipeline(activations.client, made, clock).start("run-1", "flights", {"load_table": "t"})

    (sent,) = activations.sent
    assert sent["pipelineId"] == made
    assert sent["startTimestamp"] == clock.now()
    assert {one["id"]: one["stringValue"] for one in sent["parameterValues"]} == {
        "myRun": "run-1",
        "myDataset": "flights",
        "myLoadTable": "t",
    }
    assert made in reference
    (found,) = activations.client.describe_pipelines(pipelineIds=[made])["pipelineDescriptionList"]
    states = {field["key"]: field.get("stringValue") for field in found["fields"]}
    assert states["@pipelineState"] == "SCHEDULED"


def test_a_data_pipeline_that_is_not_there_is_a_permanent_error(moto_endpoint: str) -> None:
    there = client("datapipeline", moto_endpoint)  # moto answers 500 to it; AWS answers so:
    with Stubber(there) as answers:
        answers.add_client_error("activate_pipeline", "PipelineNotFoundException", "no such pipeline", 400)

        with pytest.raises(PermanentError, match=r"df-none.*DataPipelineId"):
            DataPipeline(there, "df-none", FakeClock()).start("run", "flights", {})


def test_a_state_machine_is_started_once_for_a_run_and_a_dataset(machine: tuple[Any, str]) -> None:
    states, arn = machine
    pipeline = StateMachinePipeline(states, arn)

    first = pipeline.start("run-1", "flights", {"table": "t"})
    again = pipeline.start("run-1", "flights", {"table": "t"})
    other = pipeline.start("run-1", "weather", {})

    assert first == again != other
    assert len(states.list_executions(stateMachineArn=arn)["executions"]) == 2
    given = json.loads(states.describe_execution(executionArn=first)["input"])
    assert given == {"run": "run-1", "dataset": "flights", "table": "t"}


def test_a_state_machine_that_is_not_there_is_a_permanent_error(aws: str) -> None:
    nowhere = "arn:aws:states:us-east-1:000000000000:stateMachine:none"

    with pytest.raises(PermanentError, match="none"):
        StateMachinePipeline(client("stepfunctions", aws), nowhere).start("run", "flights", {})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("run", "myRun"),
        ("load_date", "myLoadDate"),
        ("load-date", "myLoadDate"),
        ("myTable", "myTable"),
        ("mystery", "myMystery"),
        ("my", "myMy"),
    ],
)
def test_parameter_ids_begin_with_my(name: str, expected: str) -> None:
    assert parameter_id(name) == expected


def test_execution_names_are_never_too_long_and_stay_apart() -> None:
    run = "20260115T100000-000-aaaaaaaa"
    names = [execution_name(run, "d" * 62 + last) for last in "ab"]

    assert execution_name(run, "flights") == f"{run}-flights"
    assert [len(name) for name in names] == [80, 80]
    assert names[0] != names[1]
