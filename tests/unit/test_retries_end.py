"""Retries end: poison ends alone, and whatever dies, nobody is tried for ever."""

from __future__ import annotations

import pytest
from tests.unit.whole_way import GOOD, MOST, WholeWay, dataset

from penstock.ports import Attempt


@pytest.fixture
def world() -> WholeWay:
    return WholeWay()


def test_one_file_that_kills_its_workers_is_quarantined_alone_and_its_neighbours_are_loaded(world: WholeWay) -> None:
    for number in range(50):
        world.put(f"flights/{number:02}.csv")
    world.kills = lambda arrival: arrival.key.endswith("/17.csv")

    world.pass_time(30)

    assert world.left == []
    assert len(world.warehouse.rows(world.datasets["flights"])) == 49
    (failed,) = [key for key in world.store.keys("failed/") if key.endswith(".csv")]
    reason = world.store.get_json(f"{failed}.reason.json")["reason"]
    assert f"It crashed its worker {MOST} times, at last alone in its batch" in reason
    assert world.leases.waiting() == {}
    # Twice together, then each alone in one run; from there on only the one.
    assert [files for _, files in world.planned] == [50, 50, 50, 1, 1]


@pytest.mark.parametrize(
    ("ratio", "reason"),
    [(0.9, "Its rows are loaded, its documents are not complete: "), (0.0, "1 of 2 rows were rejected (")],
)
def test_one_file_that_kills_its_settling_is_settled_with_less_and_its_neighbours_as_ever(
    world: WholeWay, ratio: float, reason: str
) -> None:
    world.datasets = {"flights": dataset("flights", index="flights", max_reject_ratio=ratio)}
    for number in range(50):
        world.put(f"flights/{number:02}.csv", b"id\n1\nx\n" if number == 17 else GOOD)
    world.kills_settling = "17.csv.rejects.jsonl"

    world.pass_time(60)

    failed = [key for key in world.store.keys("failed/") if key.endswith(".csv")]
    assert len(failed) == 1
    told = world.store.get_json(f"{failed[0]}.reason.json")["reason"]
    assert told.startswith(reason)
    assert "runs in a row that had only to settle it have ended before they did" in told
    assert world.left == []
    assert world.leases.waiting() == {}
    assert len(list(world.store.keys("processed/"))) == 49
    assert [files for _, files in world.planned] == [50, 50, 50, 1, 1]


def test_one_file_that_kills_even_the_least_settling_is_never_settled_and_never_silent(world: WholeWay) -> None:
    for number in range(10):
        world.put(f"flights/{number:02}.csv")
    world.kills_settling = "07.csv"

    world.pass_time(6 * 60)

    (waiting,) = world.leases.waiting().values()
    assert world.left == ["incoming/flights/07.csv"]
    assert waiting.attempts > MOST
    assert "had not settled incoming/flights/07.csv" in waiting.reason
    assert world.look().not_settled == 1
    assert len(world.planned) < 14, "an hour between"


def test_a_file_that_was_half_moved_when_its_settling_died_goes_on_to_where_it_was_going(world: WholeWay) -> None:
    arrival = world.put("flights/a.csv")
    attempt = Attempt(arrival.id, MOST - 1, world.clock.now(), "died", "earlier", unsettled=3)
    world.leases.put_back([attempt])
    world.store._add(f"processed/flights/{arrival.id}-a.csv", GOOD, None)

    world.tick()

    assert list(world.store.keys("failed/")) == []
    assert world.left == []


def test_a_file_whose_runs_were_stopped_is_settled_as_ever_when_one_is_not(world: WholeWay) -> None:
    world.datasets = {"flights": dataset("flights", max_reject_ratio=0.9)}
    arrival = world.put("flights/a.csv", b"id\n1\nx\n")
    attempt = Attempt(arrival.id, MOST - 1, world.clock.now(), "stopped", "earlier", unsettled=1)
    world.leases.put_back([attempt])

    world.tick()

    assert [key for key in world.store.keys("failed/") if key.endswith(".rejects.jsonl")]
    assert len(list(world.store.keys("processed/"))) == 1


def test_what_a_settling_that_outlived_its_run_puts_back_late_is_forgotten(world: WholeWay) -> None:
    arrival = world.put("flights/a.csv")
    world.tick()
    world.leases.put_back([Attempt(arrival.id, 1, world.clock.now(), "late", "earlier")])

    world.tick()

    assert world.leases.waiting() == {}
