"""What `penstock cost` counts in the definition is what an engine enters, on the happy path and on each detour."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.workflow.definition import definition
from tests.workflow.engines import Machine

from penstock.local.history import detour, happy_transitions


@pytest.mark.parametrize(
    ("test_case", "batches", "detours"),
    [
        ("HappyPath", (0,), ()),
        ("HappyPath", (0, 1, 2), ()),
        ("IndexFollowsTheLoad", (0,), ("Index what was loaded",)),
        ("Parquet", (0, 1), ("Load Parquet into the warehouse", "Index what was loaded of Parquet")),
        ("Huge", (0,), ("Load as a task", "Index as a task")),
        ("Polls", (0,), ("Double the wait",) * 3),
    ],
)
def test_the_states_that_are_counted_are_those_that_are_entered(
    machine: Machine, test_case: str, batches: Sequence[int], detours: Sequence[str]
) -> None:
    run = machine.run(test_case, batches=batches)

    entered = sum(event["type"].endswith("StateEntered") for event in run.history)
    ways = len(batches) * sum(detour(definition(), name) for name in detours)
    assert run.status == "SUCCEEDED"
    assert entered == happy_transitions(definition(), len(batches)) + ways
