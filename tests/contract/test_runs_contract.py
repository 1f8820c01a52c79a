"""What `Runs` promises, of the fake and of Step Functions (MiniStack)."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.contract.engines import client
from tests.fakes.runs import MACHINE, FakeRuns

from penstock.adapters.stepfunctions import StepFunctionsRuns
from penstock.model.backfills import backfill_id
from penstock.model.errors import PermanentError
from penstock.model.plans import closing_id
from penstock.ports import Runs, RunStatus

ROLE = "arn:aws:iam::000000000000:role/any"
WAITS = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}


@dataclass
class There:
    runs: Runs
    machine: str
    end: Callable[[str], None]
    """Stops the execution of a plan."""


@pytest.fixture(params=["fake", "stepfunctions"])
def there(request: pytest.FixtureRequest) -> There:
    if request.param == "fake":
        fake = FakeRuns()
        return There(fake, MACHINE, lambda plan: fake.finish(plan, RunStatus.ABORTED))
    states: Any = client("stepfunctions", request.getfixturevalue("aws"))
    name = f"ingest-{uuid.uuid4().hex[:8]}"
    machine = states.create_state_machine(name=name, definition=json.dumps(WAITS), roleArn=ROLE)["stateMachineArn"]
    runs = StepFunctionsRuns(states, machine)
    return There(runs, machine, lambda plan: states.stop_execution(executionArn=runs.execution_of(plan)))


def test_the_execution_of_a_plan_is_named_by_it(there: There) -> None:
    expected = there.machine.replace(":stateMachine:", ":execution:") + ":p-1"

    assert there.runs.execution_of("p-1") == expected


def test_what_was_never_started_is_missing(there: There) -> None:
    assert there.runs.status(there.runs.execution_of("p-0")) is RunStatus.MISSING


def test_a_started_one_runs(there: There) -> None:
    there.runs.start("p-1", 3)

    assert there.runs.status(there.runs.execution_of("p-1")) is RunStatus.RUNNING


def test_starting_it_again_leaves_it_as_it_is(there: There) -> None:
    there.runs.start("p-1", 3)
    there.runs.start("p-1", 3)

    assert there.runs.status(there.runs.execution_of("p-1")) is RunStatus.RUNNING


def test_one_that_is_over_is_not_started_again(there: There) -> None:
    there.runs.start("p-1", 3)
    there.end("p-1")
    until = time.monotonic() + 10
    while there.runs.status(there.runs.execution_of("p-1")) is RunStatus.RUNNING:
        assert time.monotonic() < until
        time.sleep(0.02)  # Step Functions has nothing to wait on.

    there.runs.start("p-1", 3)

    assert there.runs.status(there.runs.execution_of("p-1")) is RunStatus.ABORTED


def test_the_input_carries_references_and_no_more(aws: str) -> None:
    states = client("stepfunctions", aws)
    name = f"ingest-{uuid.uuid4().hex[:8]}"
    machine = states.create_state_machine(name=name, definition=json.dumps(WAITS), roleArn=ROLE)["stateMachineArn"]
    runs = StepFunctionsRuns(states, machine)

    runs.start("p-1", 3)

    started = states.describe_execution(executionArn=runs.execution_of("p-1"))
    assert json.loads(started["input"]) == {"plan": "p-1", "batches": [0, 1, 2]}


def test_a_closing_is_a_run_of_its_plan_with_a_name_of_its_own_and_no_batches(aws: str) -> None:
    states = client("stepfunctions", aws)
    name = f"ingest-{uuid.uuid4().hex[:8]}"
    machine = states.create_state_machine(name=name, definition=json.dumps(WAITS), roleArn=ROLE)["stateMachineArn"]
    runs = StepFunctionsRuns(states, machine)

    runs.start("p-1", 3)
    runs.start(closing_id("p-1", 2), 0)

    started = states.describe_execution(executionArn=runs.execution_of("p-1-closing-2"))
    assert json.loads(started["input"]) == {"plan": "p-1", "batches": []}


def test_a_backfill_is_an_execution_of_its_own_machine_and_its_closing_is_not(aws: str) -> None:
    states = client("stepfunctions", aws)
    machines = [
        states.create_state_machine(name=f"{name}-{uuid.uuid4().hex[:8]}", definition=json.dumps(WAITS), roleArn=ROLE)[
            "stateMachineArn"
        ]
        for name in ("ingest", "backfill")
    ]
    runs = StepFunctionsRuns(states, *machines)
    run = backfill_id("p-1")

    runs.start(run, 0)
    runs.start(closing_id(run, 1), 0)

    backfill = states.describe_execution(executionArn=runs.execution_of(run))
    assert backfill["stateMachineArn"] == machines[1]
    assert json.loads(backfill["input"]) == {"plan": run, "part": 0}
    closing = states.describe_execution(executionArn=runs.execution_of(closing_id(run, 1)))
    assert closing["stateMachineArn"] == machines[0]
    assert json.loads(closing["input"]) == {"plan": run, "batches": []}


def test_a_stack_without_the_backfill_machine_says_so() -> None:
    runs = StepFunctionsRuns(client("stepfunctions", "http://127.0.0.1:1"), MACHINE)

    with pytest.raises(PermanentError, match="deploy"):
        runs.execution_of(backfill_id("p-1"))
