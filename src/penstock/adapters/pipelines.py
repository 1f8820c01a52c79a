"""What is kicked off after a run: AWS Data Pipeline for accounts that have it, else another state machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from penstock.adapters.aws_errors import code_of, translated
from penstock.adapters.stepfunctions import execution_arn
from penstock.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_datapipeline import DataPipelineClient
    from mypy_boto3_stepfunctions import SFNClient

GONE = "GONE"
"""What was started is there no more: deleted, or older than the 90 days for which Step Functions keeps executions."""

_GONE = ("ExecutionDoesNotExist", "PipelineNotFoundException", "PipelineDeletedException")

_MAX_NAME = 80
"""Step Functions' limit for an execution's name."""


class DataPipeline:
    """Activates one AWS Data Pipeline with the run's parameters, from now on."""

    def __init__(self, client: DataPipelineClient, pipeline_id: str, clock: Clock) -> None:
        self._client = client
        self._pipeline = pipeline_id
        self._clock = clock

    def start(self, run: str, dataset: str, parameters: Mapping[str, str]) -> str:
        values = {"run": run, "dataset": dataset, **parameters}
        start = self._clock.now()
        with translated(f"activate the Data Pipeline {self._pipeline} for {dataset} of run {run}"):
            self._client.activate_pipeline(
                pipelineId=self._pipeline,
                parameterValues=[
                    {"id": parameter_id(name), "stringValue": value} for name, value in sorted(values.items())
                ],
                # Without it a pipeline that was paused resumes at its last execution and works off all it missed.
                startTimestamp=start,
            )
        return f"{self._pipeline} from {start.isoformat(timespec='seconds')}"


class StateMachinePipeline:
    """Starts an execution that is named by run and dataset, so that a second start finds the first."""

    def __init__(self, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._machine = state_machine_arn

    def start(self, run: str, dataset: str, parameters: Mapping[str, str]) -> str:
        name = execution_name(run, dataset)
        body = json.dumps({**parameters, "run": run, "dataset": dataset}, sort_keys=True)
        with translated(f"start the execution {name} of {self._machine}"):
            try:
                self._client.start_execution(stateMachineArn=self._machine, name=name, input=body)
            except ClientError as error:
                if code_of(error) != "ExecutionAlreadyExists":
                    raise
        return execution_arn(self._machine, name)


def status_of(client: Callable[[str], Any], reference: str) -> str:
    """What became of what was started, in its service's own words.

    `SUCCEEDED`, of an execution; `SCHEDULED (ERROR)`, of a Data Pipeline, which has one state for all its activations;
    `GONE` where it is there no more.
    """
    with translated(f"look at {reference}"):
        try:
            if reference.startswith("arn:"):
                return str(client("stepfunctions").describe_execution(executionArn=reference)["status"])
            pipeline = reference.partition(" ")[0]
            found = client("datapipeline").describe_pipelines(pipelineIds=[pipeline])["pipelineDescriptionList"]
        except ClientError as error:
            if code_of(error) not in _GONE:
                raise
            return GONE
    fields: dict[str, str] = {field["key"]: field.get("stringValue", "") for one in found for field in one["fields"]}
    health = fields.get("@healthStatus", "HEALTHY")
    return fields.get("@pipelineState", GONE) + (f" ({health})" if health != "HEALTHY" else "")


def parameter_id(name: str) -> str:
    """`load_date` becomes `myLoadDate`: Data Pipeline takes only ids that begin with `my`.

    https://docs.aws.amazon.com/datapipeline/latest/DeveloperGuide/dp-custom-templates.html
    """
    if len(name) > 2 and name.startswith("my") and name[2].isupper():
        return name
    words = [word for word in name.replace("-", "_").split("_") if word]
    return "my" + "".join(word[0].upper() + word[1:] for word in words)


def execution_name(run: str, dataset: str) -> str:
    """At most 80 characters; a long one ends in a hash of the whole."""
    name = f"{run}-{dataset}"
    if len(name) <= _MAX_NAME:
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    return f"{name[: _MAX_NAME - len(digest) - 1]}-{digest}"
