"""Settling after workers that died: crashes are counted, and a file that crashes alone is given up."""

from __future__ import annotations

import pytest
from tests.unit.settling import GOOD, MOST, Settling, failed

from penstock.model.outcomes import Settlement

CRASHED = {"status": "failed", "error": "Sandbox.Timedout", "cause": "Task timed out after 900.00 seconds"}


@pytest.fixture
def world() -> Settling:
    return Settling()


@pytest.mark.parametrize(
    ("error", "died"),
    [
        ("Lambda.Unknown", True),
        ("Runtime.ExitError", True),
        ("States.Timeout", False),
        ("Sandbox.Timedout", False),
        ("TransientError", False),
    ],
)
def test_what_a_worker_died_of_is_told_from_what_a_destination_kept_waiting_or_refused(
    world: Settling, error: str, died: bool
) -> None:
    arrival = world.put("a.csv", GOOD)
    plan = world.plan(arrival)
    loaded = world.put("b.csv", GOOD)
    beside = world.plan(loaded)
    world.work(beside)

    world.settle(plan, load={"status": "failed", "error": error, "cause": ""})
    world.settle(beside, index={"status": "failed", "error": error, "cause": ""})

    assert world.settled(plan)[arrival.id].died is died
    assert world.settled(beside)[loaded.id].died is died


def test_a_worker_that_dies_is_counted_and_no_file_among_others_is_given_up_for_it(world: Settling) -> None:
    one, other = world.put("a.csv", GOOD), world.put("b.csv", GOOD)
    for _ in range(MOST + 2):
        world.settle(world.plan(one, other), load=CRASHED)

    assert {(attempt.attempts, attempt.crashes) for attempt in world.leases.waiting().values()} == {(5, 5)}


def test_a_file_that_kills_its_workers_alone_is_quarantined_and_told_what_to_do(world: Settling) -> None:
    arrival = world.put("a.csv", GOOD)
    world.settle(world.plan(arrival), load=failed())
    for _ in range(MOST - 1):
        plan = world.plan(arrival)
        world.settle(plan, load=CRASHED)

    told = world.settled(plan)[arrival.id]
    assert told.settlement is Settlement.FAILED
    assert "It crashed its worker 2 times, at last alone in its batch (Sandbox.Timedout" in told.reason
    assert "split the file, or raise MemorySize" in told.reason
    assert world.leases.waiting() == {}


def test_a_file_that_kills_the_workers_of_the_index_says_that_its_rows_are_loaded(world: Settling) -> None:
    arrival = world.put("a.csv", GOOD)
    for _ in range(MOST):
        plan = world.plan(arrival)
        world.work(plan, index=False)
        world.settle(plan, index=CRASHED)

    told = world.settled(plan)[arrival.id]
    assert (told.settlement, told.rows) == (Settlement.FAILED, 2)
    assert "Its rows are loaded, its documents are not complete: It crashed its worker 3 times" in told.reason
