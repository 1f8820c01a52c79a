"""What `penstock status` tells of datasets that gather, have a pace, or expect files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from penstock.cli.follow import rhythm_told
from penstock.local.rhythm import Rhythm, rhythms
from penstock.model.datasets import Dataset
from penstock.ports import Memo

NOW = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)


def of(memo: str | None, **asks: Any) -> list[Rhythm]:
    columns = [{"name": "id", "type": "integer"}]
    given = {"name": "clicks", "prefix": "clicks/", "format": "csv", "columns": columns, "table": "clicks", **asks}
    memos = {} if memo is None else {"clicks": Memo("clicks", memo, 3)}
    return list(rhythms({"clicks": Dataset.model_validate(given)}, memos, NOW))


def test_what_a_dataset_gathers_is_shown_with_what_it_waits_for_and_until_when() -> None:
    memo = '{"since": "2026-01-15T09:57:00Z", "files": 37, "bytes": 1200000}'

    [rhythm] = of(memo, flush={"files": 50, "bytes": 10**9, "after": "5m"})

    assert rhythm.to_json() == {
        "dataset": "clicks",
        "gathered": 37,
        "flush_files": 50,
        "gathered_bytes": 1_200_000,
        "flush_bytes": 10**9,
        "flush_by": "2026-01-15T10:02:00+00:00",
    }
    [line] = rhythm_told(rhythm)
    assert "clicks gathers[/]: 37 files, 1.2 MB; they go at 50 files, 1.0 GB, or at " in line


def test_nothing_is_told_of_a_dataset_that_gathers_nothing_now() -> None:
    assert [list(rhythm_told(rhythm)) for rhythm in of(None, flush={"files": 50})] == [[]]


def test_a_pace_is_that_of_the_next_listing_whatever_is_remembered() -> None:
    pace = {"min_files": 20, "max_files": 1000}
    slowed = '{"pace": 120, "slowed": "2026-01-15T09:10:00Z"}'

    assert [rhythm.pace for memo in (None, "nonsense", '{"pace": 9000}', slowed) for rhythm in of(memo, pace=pace)] == [
        20,
        20,
        1000,
        120,
    ]
    [line] = rhythm_told(of(slowed, pace=pace)[0])
    assert line.startswith("clicks's pace: 120 of 1,000 files at once, halved at ")


def test_a_dataset_that_expected_files_and_got_none_is_silent() -> None:
    heard, silent = (of(f'{{"arrived": "2026-01-15T{at}:00Z"}}', expect_every="1h")[0] for at in ("09:01", "08:59"))

    assert (heard.silent_since, list(rhythm_told(heard))) == (None, [])
    [line] = rhythm_told(silent)
    assert "clicks is silent[/]: nothing has come since " in line


def test_a_dataset_that_asks_for_none_of_it_is_left_out() -> None:
    assert of('{"arrived": "2026-01-15T08:59:00Z"}') == []
