"""How `penstock counts` shows what is counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console
from tests.fakes.counts import FakeCounts

from penstock.cli.counts import bars, read, view
from penstock.cli.screen import harmless
from penstock.model.stream_events import BEGINNING, Position

TEN = datetime(2013, 1, 1, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def kept() -> FakeCounts:
    counts = FakeCounts()
    tallies = {("UA", TEN): 40, ("UA", TEN + 2 * MINUTE): 2, ("AA", TEN + 2 * MINUTE): 5, ("DL", TEN - MINUTE): 9}
    for shard in ("shard-1", "shard-2"):
        counts.add(shard, BEGINNING, Position(1, 1), tallies, [], None)
    return counts


def test_types_are_added_up_over_shards_and_the_most_frequent_comes_first() -> None:
    console = Console(width=100, record=True, color_system=None)

    console.print(view(TEN, TEN + 3 * MINUTE, read(kept(), [], TEN, TEN + 3 * MINUTE)))

    lines = [line.split() for line in console.export_text().splitlines()[2:]]
    assert [line[:3] for line in lines[:2]] == [["UA", "84", "4"], ["AA", "10", "10"]]
    assert lines[2][:4] == ["2", "types", "94", "14"]


def test_a_type_that_looks_like_markup_is_shown_as_it_is() -> None:
    counts, console = FakeCounts(), Console(width=100, record=True, color_system=None)
    counts.add("shard-1", BEGINNING, Position(1, 1), {("[/red]", TEN): 1}, [], None)

    console.print(view(TEN, TEN + MINUTE, read(counts, [], TEN, TEN + MINUTE)))

    assert "[/red]" in console.export_text()


def test_what_a_dead_letter_holds_moves_no_cursor_and_is_no_markup() -> None:
    console = Console(width=100, record=True, color_system=None)

    console.print(harmless("\x1b[2J\x9b2J [red]caf\xe9[/] \u202e\nnext"))

    assert console.export_text() == "\\x1b[2J\\x9b2J [red]caf\xe9[/] \\u202e\nnext\n"


def test_only_the_types_that_are_named_are_read() -> None:
    assert read(kept(), ["AA", "ZZ"], TEN, TEN + 3 * MINUTE).keys() == {"AA"}


@pytest.mark.parametrize(
    ("minutes", "span", "shown"),
    [
        ({TEN: 8, TEN + MINUTE: 4, TEN + 3 * MINUTE: 1}, 4, "█▄ ▁"),
        ({TEN + 119 * MINUTE: 1000, TEN: 1}, 120, "▁" + " " * 58 + "█"),
        ({}, 3, "   "),
    ],
)
def test_bars_are_as_high_as_their_events_and_any_event_shows(
    minutes: dict[datetime, int], span: int, shown: str
) -> None:
    assert bars(minutes, TEN, TEN + span * MINUTE) == shown


def test_a_time_without_events_says_so_and_how_to_ask_for_another() -> None:
    assert "--since" in str(view(TEN, TEN + MINUTE, {}))
