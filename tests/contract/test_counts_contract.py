"""What `Counts` promises, of the fake and of DynamoDB (MiniStack)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.counts import FakeCounts

from penstock.adapters.dynamodb_counts import DynamoCounts
from penstock.model.errors import TransientError
from penstock.model.stream_events import BEGINNING, Position
from penstock.ports.counts import MOST, OTHER, Counts

TEN = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FIRST, SECOND = Position(49590338271490256608559692538361571095921575989136588898, 2), Position(2**180, 1)


@pytest.fixture(params=["fake", "dynamodb"])
def counts(request: pytest.FixtureRequest) -> Counts:
    if request.param == "fake":
        return FakeCounts()
    return DynamoCounts(request.getfixturevalue("dynamodb"), request.getfixturevalue("table"), FakeClock())


@pytest.fixture(params=["fake", "dynamodb"])
def few(request: pytest.FixtureRequest) -> Callable[[], Counts]:
    """Makes a worker's counts, all of one table, which has room for two types."""
    if request.param == "fake":
        made = FakeCounts(most_types=2)
        return lambda: made
    client, table = request.getfixturevalue("dynamodb"), request.getfixturevalue("table")
    return lambda: DynamoCounts(client, table, FakeClock(), most_types=2)


def test_a_shard_that_was_never_counted_is_at_the_beginning(counts: Counts) -> None:
    assert counts.watermark("shard-1") == BEGINNING


def test_what_is_counted_and_how_far_go_together(counts: Counts) -> None:
    assert not counts.add("shard-1", BEGINNING, FIRST, {("UA", TEN): 3, ("AA", TEN): 1}, ["a", "b"], TEN + MINUTE)

    assert counts.watermark("shard-1") == FIRST
    assert counts.read("UA", TEN, TEN + MINUTE) == {TEN: 3}


def test_shards_are_added_up_minute_by_minute_and_until_is_out(counts: Counts) -> None:
    counts.add("shard-1", BEGINNING, FIRST, {("UA", TEN): 3, ("UA", TEN + MINUTE): 4}, [], None)
    counts.add("shard-2", BEGINNING, FIRST, {("UA", TEN): 5, ("UA", TEN + 2 * MINUTE): 1}, [], None)
    counts.add("shard-2", FIRST, SECOND, {("UA", TEN): 1}, [], None)

    assert counts.read("UA", TEN, TEN + 2 * MINUTE) == {TEN: 9, TEN + MINUTE: 4}
    assert counts.read("UA", TEN - MINUTE, TEN) == {}
    assert counts.read("DL", TEN, TEN + MINUTE) == {}


@pytest.mark.parametrize("year", [1, 999, 9999])
def test_minutes_of_any_year_are_counted_where_they_belong(counts: Counts, year: int) -> None:
    at = TEN.replace(year=year)
    counts.add("shard-1", BEGINNING, FIRST, {("UA", at): 2, ("UA", TEN): 1}, [], None)

    assert counts.read("UA", at, at + MINUTE) == {at: 2}
    assert counts.read("UA", TEN, TEN + MINUTE) == {TEN: 1}
    assert counts.read("UA", datetime(1, 1, 1, tzinfo=UTC), TEN) == ({at: 2} if at < TEN else {})


def test_the_types_that_are_counted_are_told_each_once(counts: Counts) -> None:
    assert counts.types() == []

    counts.add("shard-1", BEGINNING, FIRST, {("UA", TEN): 3, ("AA", TEN): 1}, [], None)
    counts.add("shard-2", BEGINNING, FIRST, {("UA", TEN + MINUTE): 1}, [], None)

    assert counts.types() == ["AA", "UA"]


def test_when_there_are_too_many_types_further_ones_are_counted_together(few: Callable[[], Counts]) -> None:
    first, second = few(), few()
    first.add("shard-1", BEGINNING, FIRST, {("UA", TEN): 3, ("AA", TEN): 1}, [], None)

    first.add("shard-1", FIRST, SECOND, {("UA", TEN): 1, ("n1", TEN): 2, ("n2", TEN): 4}, [], None)
    second.add("shard-2", BEGINNING, FIRST, {("n1", TEN): 8, ("AA", TEN): 1}, [], None)

    assert first.types() == [OTHER, "AA", "UA"]
    assert {kind: counts[TEN] for kind in first.types() if (counts := first.read(kind, TEN, TEN + MINUTE))} == {
        OTHER: 14,
        "AA": 2,
        "UA": 4,
    }


def test_a_type_that_is_expected_has_counts_of_its_own_however_many_there_are(few: Callable[[], Counts]) -> None:
    first, second = few(), few()
    first.add("shard-1", BEGINNING, FIRST, {("UA", TEN): 3, ("AA", TEN): 1}, [], None)

    first.expect("DL")
    first.add("shard-1", FIRST, SECOND, {("DL", TEN): 2, ("n1", TEN): 4}, [], None)
    second.add("shard-2", BEGINNING, FIRST, {("DL", TEN): 8, ("n1", TEN): 1}, [], None)

    assert first.types() == [OTHER, "AA", "DL", "UA"]
    assert first.read("DL", TEN, TEN + MINUTE) == {TEN: 10}
    assert first.read(OTHER, TEN, TEN + MINUTE) == {TEN: 5}


def test_a_worker_that_was_overtaken_counts_nothing(counts: Counts) -> None:
    counts.add("shard-1", BEGINNING, FIRST, {("UA", TEN): 3}, [], None)

    for after in (BEGINNING, SECOND):
        with pytest.raises(TransientError, match="shard-1"):
            counts.add("shard-1", after, SECOND, {("UA", TEN): 7}, ["z"], TEN + MINUTE)

    assert counts.read("UA", TEN, TEN + MINUTE) == {TEN: 3}
    assert counts.watermark("shard-1") == FIRST
    assert not counts.add("shard-1", FIRST, SECOND, {("UA", TEN): 1}, ["z"], TEN + MINUTE)


def test_ids_that_were_counted_before_are_told_and_nothing_is_written(counts: Counts) -> None:
    counts.add("shard-1", BEGINNING, FIRST, {("UA", TEN): 2}, ["a", "b"], TEN + timedelta(days=400))

    known = counts.add("shard-2", BEGINNING, FIRST, {("UA", TEN): 3}, ["c", "b", "a"], TEN + timedelta(days=400))

    assert known == {"a", "b"}
    assert counts.watermark("shard-2") == BEGINNING
    assert counts.read("UA", TEN, TEN + MINUTE) == {TEN: 2}


def test_as_much_as_is_promised_goes_at_once(counts: Counts) -> None:
    ids = [f"id-{n}" for n in range(MOST - 2)]

    assert not counts.add("shard-1", BEGINNING, FIRST, {("UA", TEN): 50, ("AA", TEN): 47}, ids, TEN + MINUTE)
