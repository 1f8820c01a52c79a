"""A task can't raise an error by name: its exit code, in ECS's description of it, says which one it stands for."""

from __future__ import annotations

import json

import pytest

from penstock.flows.deciding import Branch
from penstock.handler import outcome

TOLD = "the task that worked it says why in its log"


def ended(branch: str, code: int | None) -> dict[str, str]:
    container = {"Name": "task", "LastStatus": "STOPPED", **({} if code is None else {"ExitCode": code})}
    cause = json.dumps({"Containers": [container], "StoppedReason": "Essential container in task exited"})
    return outcome({branch: {"status": "failed", "error": "States.TaskFailed", "cause": cause}}, branch)


@pytest.mark.parametrize(
    ("code", "error"),
    [(75, "TransientError"), (65, "PermanentError"), (137, "Runtime.ExitError"), (None, "Runtime.ExitError")],
)
def test_the_code_says_which_error_it_is(code: int | None, error: str) -> None:
    found = ended("warehouse", code)

    assert found["error"] == error
    assert Branch.of(found).crashed is (error == "Runtime.ExitError")


@pytest.mark.parametrize("branch", ["warehouse", "search"])
def test_a_destination_that_is_down_is_no_files_fault_in_a_task_either(branch: str) -> None:
    found = Branch.of(ended(branch, 69))

    assert (found.down, found.down_reason) == (branch, TOLD)


def test_what_is_no_tasks_cause_is_told_as_it_was() -> None:
    given = {"status": "failed", "error": "ECS.AmazonECSException", "cause": "The cluster is not there"}

    assert outcome({"warehouse": given}, "warehouse") == given
