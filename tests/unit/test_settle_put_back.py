"""Settling: what can't be decided waits in incoming/, ever longer, until its attempts are used up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.warehouse import FakeWarehouse
from tests.unit.settling import GOOD, MOST, Refusing, Settling, failed

from penstock.flows.load_batch import begin_load
from penstock.model.arrivals import UNCLAIMED
from penstock.model.errors import TransientError
from penstock.model.outcomes import Settlement


@pytest.fixture
def world() -> Settling:
    return Settling()


def test_what_the_ledger_did_not_decide_is_put_back_with_a_growing_wait(world: Settling) -> None:
    arrival = world.put("a.csv", GOOD)
    waits, attempts = [], []

    for _ in range(MOST - 1):
        plan = world.plan(arrival)
        counts = world.settle(plan, load=failed())
        waiting = world.leases.waiting()[arrival.id]
        waits.append(waiting.not_before - world.clock.now())
        attempts.append(waiting.attempts)

    assert counts == {"processed": 0, "failed": 0, "put_back": 1}
    assert waits == [timedelta(seconds=30), timedelta(seconds=60)]
    assert attempts == [1, 2]
    assert waiting.reason == "TransientError: it was asleep"
    assert world.store.content(arrival.key) == GOOD


def test_after_the_last_attempt_it_is_quarantined_in_the_ledger_and_fails(world: Settling) -> None:
    arrival = world.put("a.csv", GOOD)
    for _ in range(MOST):
        plan = world.plan(arrival)
        world.settle(plan, load=failed())

    told = world.settled(plan)[arrival.id]
    world.work(world.plan(arrival))

    assert told.settlement is Settlement.FAILED
    assert "after 3 attempts" in told.reason
    assert "it was asleep" in told.reason
    assert world.leases.waiting() == {}
    assert world.warehouse.rows(world.of) == []


def test_a_load_that_committed_late_is_followed_and_not_quarantined(world: Settling) -> None:
    arrival = world.put("a.csv", GOOD)
    for _ in range(MOST - 1):
        world.settle(world.plan(arrival), load=failed())
    plan = world.plan(arrival)
    world.work(plan, load=False)

    class Late(FakeWarehouse):
        def quarantine(self, *given: Any) -> None:
            begin_load(world.store, world.warehouse, world.datasets, plan, 0)
            super().quarantine(*given)

    world.warehouse = Late()
    world.settle(plan, load=failed("States.Timeout"))

    assert world.settled(plan)[arrival.id].settlement is Settlement.PROCESSED
    assert len(world.warehouse.rows(world.of)) == 2


def test_a_good_load_beside_a_failed_search_branch_is_put_back_and_not_loaded_twice(world: Settling) -> None:
    arrival = world.put("a.csv", GOOD)
    plan = world.plan(arrival)
    world.work(plan, index=False)

    world.settle(plan, index=failed("429"))
    put_back = world.settled(plan)[arrival.id]
    later = world.run(arrival)[arrival.id]

    assert (put_back.settlement, put_back.rows, put_back.reason) == (Settlement.PUT_BACK, 0, "TransientError: 429")
    assert (later.settlement, later.rows, later.documents) == (Settlement.PROCESSED, 2, 2)
    assert len(world.warehouse.rows(world.of)) == 2
    assert world.leases.waiting() == {}


def test_documents_that_never_come_fail_the_file_and_say_that_its_rows_are_loaded(world: Settling) -> None:
    arrival = world.put("a.csv", GOOD)
    for _ in range(MOST):
        plan = world.plan(arrival)
        world.work(plan, index=False)
        world.settle(plan, index=failed("mapping conflict"))

    told = world.settled(plan)[arrival.id]

    assert (told.settlement, told.rows) == (Settlement.FAILED, 2)
    assert "rows are loaded" in told.reason
    assert "mapping conflict" in told.reason


def test_a_search_branch_that_said_nothing_of_a_file_is_no_success(world: Settling) -> None:
    arrival = world.put("a.csv", GOOD)
    plan = world.plan(arrival)
    world.work(plan, index=False)

    world.settle(plan)

    assert world.settled(plan)[arrival.id].settlement is Settlement.PUT_BACK


def test_files_of_a_dataset_that_was_removed_meanwhile_are_left_for_the_next_listing(world: Settling) -> None:
    arrival = world.store.put("incoming/gone/a.csv", GOOD)
    plan = world.plan(arrival, name="gone")

    world.settle(plan, load=failed("PermanentError"))

    assert world.settled(plan)[arrival.id].settlement is Settlement.PUT_BACK
    assert world.leases.waiting() == {}


def test_files_of_a_dataset_that_was_added_meanwhile_are_not_failed(world: Settling) -> None:
    arrival = world.put("a.csv", GOOD)
    plan = world.plan(arrival, name=UNCLAIMED)

    world.settle(plan)

    assert world.settled(plan)[arrival.id].settlement is Settlement.PUT_BACK


def test_a_file_that_somebody_deleted_is_told_and_holds_up_no_other(world: Settling) -> None:
    gone, there = world.put("a.csv", GOOD), world.put("b.csv", GOOD)
    plan = world.plan(gone, there)
    world.work(plan)
    world.store._versions[gone.key].clear()

    counts = world.settle(plan)

    assert counts == {"processed": 1, "failed": 0, "put_back": 1}
    assert "is gone" in world.settled(plan)[gone.id].reason


def test_attempts_are_not_forgotten_while_the_file_still_lies_in_incoming(world: Settling) -> None:
    arrival = world.put("a.csv", GOOD)
    world.settle(world.plan(arrival), load=failed())
    plan = world.plan(arrival)
    world.work(plan)

    class Stuck(FakeObjectStore):
        def move(self, moves: Any) -> Mapping[str, str]:
            raise TransientError("SlowDown")

    stuck = Stuck()
    stuck.__dict__.update(world.store.__dict__)
    with pytest.raises(TransientError):
        world.settle(plan, store=stuck)

    assert world.leases.waiting()[arrival.id].attempts == 1


class AskedOfSome(FakeLeases):
    """Tells what waits of those that are asked for, and keeps whom it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def waiting(self) -> Mapping[str, Any]:
        raise AssertionError("a batch has asked for all that wait")

    def attempts_of(self, arrivals: Sequence[str]) -> Mapping[str, Any]:
        self.asked |= set(arrivals)
        return super().attempts_of(arrivals)


def test_a_batch_asks_for_the_attempts_of_its_own_files_and_of_no_others(world: Settling) -> None:
    world.leases = leases = AskedOfSome()
    bad, good, back = world.put("bad.csv", GOOD), world.put("good.csv", GOOD), world.put("back.csv", GOOD)
    plan, later = world.plan(bad, good), world.plan(back)
    world.work(plan)

    world.settle(plan, store=Refusing(world.store, "bad.csv"))
    world.settle(later, load=failed("a lock timed out"))

    assert leases.asked == {bad.id, good.id, back.id}
