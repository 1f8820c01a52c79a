"""What others have named or written is shown by commands, and neither a terminal nor rich obeys it."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, Group

from penstock.cli.follow import status_view
from penstock.cli.screen import harmless, rows_table
from penstock.cli.story import story_view
from penstock.local.history import History
from penstock.local.runs import BatchStory, Run, RunStory
from penstock.local.watch import Status
from penstock.model.arrivals import Arrival
from penstock.model.breakers import Breaker
from penstock.model.outcomes import SettledArrival, SettledBatch, Settlement
from penstock.model.plans import Batch
from penstock.ports import Attempt

NOW = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
HOSTILE = "incoming/flights/[/x] [red]\x1b]0;owned\x07\r\u202e.csv"
"""Closes a tag of rich's that none has opened, and names the terminal's window; then it writes from right to left."""


def shown(part: Any) -> str:
    told = StringIO()
    Console(file=told, force_terminal=False, width=400).print(part)
    return told.getvalue()


def status() -> Any:
    waiting = Attempt("a" * 32, 1, NOW, f"{HOSTILE} can't be settled")
    breaker = Breaker("warehouse", NOW, NOW, 1, f"no table for {HOSTILE}")
    return status_view(Status({}, waiting=[waiting], breakers=[breaker], notes=[f"gone: {HOSTILE}"]))


def story() -> Any:
    arrival = Arrival("landing", HOSTILE, "1", 1, "e", NOW)
    settled = SettledArrival(arrival.id, HOSTILE, Settlement.FAILED, reason=f"refused: {HOSTILE}")
    batch = BatchStory(Batch(0, "flights", (arrival,)), SettledBatch("p", 0, "flights", (settled,)))
    return Group(*story_view(RunStory(Run("p", "SUCCEEDED", NOW, NOW, None), History(1, 0), [batch])))


def query() -> Any:
    return rows_table(["key"], [[HOSTILE]])


@pytest.mark.parametrize("view", [status, story, query])
def test_a_hostile_name_is_text_and_nothing_else(view: Any) -> None:
    told = shown(view())

    assert "[/x] [red]\\x1b]0;owned\\x07\\r\\u202e.csv" in told
    assert not set(told) & set("\x1b\x07\r\u202e")


def test_lines_stay_lines_and_letters_letters() -> None:
    assert harmless("größe\n列") == "größe\n列"
