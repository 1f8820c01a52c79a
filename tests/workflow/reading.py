"""What an engine made of a case, as lines to compare two engines by: each says what came before it in its branch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


class Reading:
    """Of one execution, whose `name` is taken out of what it wrote: it is another on each engine."""

    def __init__(self, definition: Mapping[str, Any], name: str) -> None:
        self._name = name
        self._owners = dict(_owners(definition))
        self._starts = set(_starts(definition))
        self._lines: list[tuple[str, str]] = []
        self._within: Counter[str] = Counter()
        """State → how many more times it was entered than left."""

    def end(self, status: str, error: str, cause: str, output: Any) -> None:
        self._add("", f"ended {status}", {"error": error, "cause": cause, "output": output})

    def history(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Adds an execution's steps, or those of a Distributed Map's children."""
        by_id = {event["id"]: event for event in events}
        for event in events:
            if entered := event.get("stateEnteredEventDetails"):
                name = entered["name"]
                # moto links an iteration to the one before, where the same thread worked that.
                before = None if name in self._starts else self._before(event, by_id, self._owners[name])
                self._add(name, f"{before or 'start'} → {name} with", json.loads(entered["input"]))
                self._within[name] += 1
            if left := event.get("stateExitedEventDetails"):
                self._add(left["name"], f"{left['name']} gave", json.loads(left["output"]))
                self._within[left["name"]] -= 1
            if scheduled := event.get("taskScheduledEventDetails"):
                state = self._before(event, by_id) or ""
                self._add(state, f"{state} called with", json.loads(scheduled["parameters"]))

    @property
    def lines(self) -> Counter[str]:
        """Each with how often it was written, but for what went on inside a Map or Parallel that failed its execution:
        how far the others got by then is a race ("all the iterations are terminated")."""
        return Counter(line for state, line in self._lines if not self._aborted(state))

    def _aborted(self, state: str) -> bool:
        owner = self._owners.get(state, "").split("/")[0]
        return bool(owner) and (self._within[owner] > 0 or self._aborted(owner))

    def _before(self, event: Mapping[str, Any], by_id: Mapping[int, Any], owner: str | None = None) -> str | None:
        """The state that was entered last before an event: any, or in the same branch."""
        while event["previousEventId"] < event["id"]:  # A child's first names one of its parent's.
            event = by_id.get(event["previousEventId"], {"previousEventId": 0, "id": 0})
            name = event.get("stateEnteredEventDetails", {}).get("name")
            if name and owner in (None, self._owners[name]):
                return str(name)
        return None

    def _add(self, state: str, what: str, value: Any) -> None:
        self._lines.append((state, f"{what} {json.dumps(value, sort_keys=True).replace(self._name, 'RUN')}"))


def _owners(machine: Mapping[str, Any], owner: str = "") -> Iterator[tuple[str, str]]:
    """Each state with the branch that it is in: its Map or Parallel, and which of its branches."""
    for name, state in machine["States"].items():
        yield name, owner
        for number, branch in enumerate(_branches(state)):
            yield from _owners(branch, f"{name}/{number}")


def _starts(machine: Mapping[str, Any]) -> Iterator[str]:
    """The first states of branches to which nothing leads back."""
    states = machine["States"].values()
    ways = [way for state in states for way in (state, *state.get("Choices", []), *state.get("Catch", []))]
    if machine["StartAt"] not in {way.get(field) for way in ways for field in ("Next", "Default")}:
        yield machine["StartAt"]
    for state in states:
        for branch in _branches(state):
            yield from _starts(branch)


def _branches(state: Mapping[str, Any]) -> list[Any]:
    return [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]
