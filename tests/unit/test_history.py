"""State transitions of a run, counted from its history, and from the definition where an engine leaves states out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.local.history import history_of

DEFINITION = {
    "StartAt": "Each",
    "States": {
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.batches",
            "ItemProcessor": {
                "StartAt": "Both",
                "States": {
                    "Both": {
                        "Type": "Parallel",
                        "Branches": [
                            {
                                "StartAt": "Load",
                                "States": {
                                    "Load": {"Type": "Task", "Next": "Done?"},
                                    "Done?": {"Type": "Choice", "Choices": [{"Next": "Load"}], "Default": "Loaded"},
                                    "Loaded": {"Type": "Pass", "End": True},
                                },
                            },
                            {"StartAt": "Index", "States": {"Index": {"Type": "Task", "End": True}}},
                        ],
                        "Next": "Settle",
                    },
                    "Settle": {"Type": "Task", "End": True},
                },
            },
            "Next": "Done",
        },
        "Done": {"Type": "Succeed"},
    },
}
PER_BATCH = 6  # Both, Load, Done?, Loaded, Index, Settle
TASKS_PER_BATCH = 3


def event(kind: str, **details: Any) -> dict[str, Any]:
    return {"type": kind, **details}


def entered(name: str, batches: int) -> dict[str, Any]:
    given = {"name": name, "input": json.dumps({"batches": list(range(batches))})}
    return event("MapStateEntered", stateEnteredEventDetails=given)


def test_an_engine_that_tells_only_the_outer_states_has_the_inner_ones_taken_from_the_definition() -> None:
    events = [
        event("ExecutionStarted"),
        entered("Each", 5),
        *[event("TaskScheduled")] * (5 * TASKS_PER_BATCH),
        event("MapStateExited"),
        event("SucceedStateEntered"),
    ]

    history = history_of(events, DEFINITION)

    assert history.transitions == 1 + 5 * PER_BATCH + 1
    assert history.retries == 0


def test_a_repeated_task_is_a_transition_more_and_a_retry() -> None:
    events = [entered("Each", 2), *[event("TaskScheduled")] * (2 * TASKS_PER_BATCH + 4)]

    history = history_of(events, DEFINITION)

    assert history.retries == 4
    assert history.transitions == 1 + 2 * PER_BATCH + 4


def test_a_history_that_tells_all_is_counted_as_it_is() -> None:
    inner = ["ParallelStateEntered", "TaskStateEntered", "ChoiceStateEntered", "PassStateEntered"]
    events = [
        entered("Each", 1),
        event("MapIterationStarted"),
        *[event(kind) for kind in inner],
        event("TaskScheduled"),
        event("TaskScheduled"),
    ]

    history = history_of(events, DEFINITION)

    assert history.transitions == 1 + len(inner) + 1
    assert history.retries == 1


def test_the_ingest_machine_s_happy_path_is_found_in_its_definition() -> None:
    text = (Path(__file__).parents[2] / "statemachines" / "ingest.asl.yaml").read_text()
    definition = yaml.safe_load(text)
    name = definition["StartAt"]

    one, two = (history_of([entered(name, batches)], definition).transitions for batches in (1, 2))

    # Parallel, settle, and in the branches at least the load and the indexing.
    assert two - one >= 4
    assert one == 1 + (two - one)


@pytest.mark.parametrize("events", [[], [event("ExecutionStarted")]])
def test_a_run_that_has_not_begun_has_no_transitions(events: list[dict[str, Any]]) -> None:
    assert history_of(events, DEFINITION).transitions == 0
