"""How many state transitions a run took: what Step Functions bills.

On AWS each state that is entered is an event of the history. The embedded engine leaves out the states inside a Map;
those are then taken from the definition: the happy path, which its Choices name first, once for each item.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class History:
    """`transitions` counts every state that was entered, and every repetition by a Retry, which enters none."""

    transitions: int
    retries: int


def happy_transitions(machine: Mapping[str, Any], batches: int) -> int:
    """States that a run of `batches` enters when all goes well and each Choice defaults: what Step Functions bills."""
    name, entered = machine["StartAt"], 0
    while name:
        state = machine["States"][name]
        entered += 1
        if state["Type"] == "Map":
            entered += batches * happy_transitions(state["ItemProcessor"], batches)
        for branch in state.get("Branches", ()):
            entered += happy_transitions(branch, batches)
        name = state.get("Default") or state.get("Next")
    return entered


def detour(machine: Mapping[str, Any], first: str) -> int:
    """States more that an item of a Map enters when a Choice takes it to `first`, until it goes on as ever."""
    [states] = [one["ItemProcessor"]["States"] for one in machine["States"].values() if first in _items(one)]
    usual = {one.get("Default") for one in states.values()}
    name, entered = first, 0
    while name not in usual:
        entered += 1
        if states[name]["Type"] == "Choice":
            break
        name = states[name]["Next"]
    return entered


def _items(state: Mapping[str, Any]) -> Mapping[str, Any]:
    states: Mapping[str, Any] = state.get("ItemProcessor", {}).get("States", {})
    return states


def history_of(events: Sequence[Mapping[str, Any]], definition: Mapping[str, Any]) -> History:
    """Counts GetExecutionHistory's events of an execution of the machine `definition`."""
    kinds = Counter(event["type"] for event in events)
    entered = sum(number for kind, number in kinds.items() if kind.endswith("StateEntered"))
    tasks = kinds["TaskStateEntered"]
    if not kinds["MapIterationStarted"]:
        for event in events:
            if event["type"] == "MapStateEntered":
                states, inner_tasks = _inside(event["stateEnteredEventDetails"], definition["States"])
                entered += states
                tasks += inner_tasks
    retries = max(0, kinds["TaskScheduled"] + kinds["LambdaFunctionScheduled"] - tasks)
    return History(entered + retries, retries)


def _inside(details: Mapping[str, Any], states: Mapping[str, Any]) -> tuple[int, int]:
    """States and Tasks that a Map of the top level enters for all of its items."""
    state = states.get(details["name"])
    if state is None or state["Type"] != "Map":
        return 0, 0
    items: Any = json.loads(details["input"])
    processor = state.get("ItemProcessor") or state["Iterator"]
    path = _happy_path(processor)
    if processor.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED":
        # Its items are in S3. Children are executions of their own, whose start is counted too.
        return items["batches"] * (len(path) + 1), items["batches"] * path.count("Task")
    for name in state.get("ItemsPath", "$").split(".")[1:]:
        items = items.get(name, [])
    return len(items) * len(path), len(items) * path.count("Task")


def _happy_path(machine: Mapping[str, Any]) -> list[str]:
    """The types of the states that are entered from `StartAt` when nothing goes wrong, and each Choice defaults."""
    path: list[str] = []
    name, seen = machine["StartAt"], set[str]()
    while name and name not in seen:
        seen.add(name)
        state = machine["States"][name]
        path.append(state["Type"])
        for branch in state.get("Branches", ()):
            path += _happy_path(branch)
        name = state.get("Default") or state.get("Next")
    return path
