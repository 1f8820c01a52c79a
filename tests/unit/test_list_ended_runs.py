"""A listing ends the runs that are over, died or never began: they hold nothing, and what they left is tried again."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from tests.fakes.crashing import Crash
from tests.fakes.runs import FakeRuns
from tests.unit.listing import RUN, Lister

from penstock.flows.listing_lease import LEASE
from penstock.flows.plan_of import read_plan
from penstock.flows.start_run import Limits
from penstock.ports import Attempt, Move, RunStatus


@pytest.fixture
def world() -> Lister:
    return Lister()


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.ABORTED, RunStatus.SUCCEEDED])
def test_a_run_that_is_over_holds_nothing(world: Lister, status: RunStatus) -> None:
    left = world.store.put("incoming/flights/a", b"1")
    (dead,) = world.look().plans
    world.runs.finish(dead, status)

    (heir,) = world.look().plans

    assert world.leased() == [left.id]
    assert {run.id: run.status for run in world.leases.runs(5)} == {dead: status, heir: RunStatus.RUNNING}


def test_a_run_that_always_fails_starts_others_ever_more_seldom(world: Lister) -> None:
    arrival = world.store.put("incoming/flights/a", b"1")
    started = []

    for _ in range(2 * 3600):
        for plan in world.look().plans:
            started.append(world.clock.now())
            world.runs.finish(plan, RunStatus.FAILED)
        world.clock.advance(timedelta(seconds=1))

    waits = [int((later - before).total_seconds()) for before, later in pairwise(started)]
    # Each a second longer than its wait: that the run is over is only seen by the listing after it.
    assert waits == [1, 31, 61, 121, 241, 481, 961, 1921]
    waiting = world.leases.waiting()[arrival.id]
    assert waiting.attempts == len(started)
    assert f"Run {waiting.run} ended FAILED" in waiting.reason


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.ABORTED])
def test_a_run_that_ended_badly_was_an_attempt_on_what_it_left(world: Lister, status: RunStatus) -> None:
    left = world.store.put("incoming/flights/left", b"1")
    back = world.store.put("incoming/flights/back", b"1")
    (plan,) = world.look().plans
    later = world.clock.now() + timedelta(minutes=1)
    world.leases.put_back([Attempt(back.id, 3, later, "asleep", plan)])
    world.runs.finish(plan, status)

    (next_plan,) = world.look().plans

    assert [one.id for one in read_plan(world.store, next_plan).arrivals] == [left.id]
    attempts = {id_: attempt.attempts for id_, attempt in world.leases.waiting().items()}
    assert attempts == {left.id: 1, back.id: 3}


def test_what_a_run_moved_before_it_ended_badly_waits_for_nothing_any_more(world: Lister) -> None:
    moved = world.store.put("incoming/flights/moved", b"1")
    left = world.store.put("incoming/flights/left", b"1")
    (plan,) = world.look().plans
    world.leases.put_back([Attempt(one.id, 1, world.clock.now(), "asleep", "a run before") for one in (moved, left)])
    world.store.move([Move(moved, "processed/flights/moved")])
    world.runs.finish(plan, RunStatus.FAILED)

    world.look()

    assert world.leases.waiting().keys() == {left.id}


def test_a_run_that_succeeded_counts_no_attempt(world: Lister) -> None:
    world.store.put("incoming/flights/a", b"1")
    (plan,) = world.look().plans
    world.runs.finish(plan)

    world.look()

    assert world.leases.waiting() == {}


def test_a_backlog_larger_than_a_plan_drains_by_the_ends_of_its_runs_and_then_there_is_silence(world: Lister) -> None:
    world.limits = Limits(files=4, bytes=10**9, run=RUN)
    for number in range(10):
        world.store.put(f"incoming/flights/{number}", b"1")
    back = world.store.put("incoming/flights/later", b"1")
    world.leases.put_back([Attempt(back.id, 1, world.clock.now() + timedelta(hours=1), "asleep")])

    asked, plans = 1, []
    while asked:
        asked -= 1
        for plan in world.look().plans:
            plans.append(plan)
            settled = read_plan(world.store, plan).arrivals
            world.store.move([Move(one, f"processed/{one.id}") for one in settled])
            world.runs.finish(plan)
            asked += 1  # The rule on ended runs.

    assert len(plans) == 3
    assert [one.id for one in world.store.arrivals("incoming/")] == [back.id]


def test_a_run_that_goes_on_past_its_backstop_holds_nothing(world: Lister) -> None:
    world.store.put("incoming/flights/a", b"1")
    (stuck,) = world.look().plans
    world.clock.advance(RUN)

    (heir,) = world.look().plans

    assert {run.id: run.status for run in world.leases.runs(5)}[stuck] is RunStatus.TIMED_OUT
    assert heir != stuck


def test_a_run_that_was_recorded_and_never_started_is_started_by_the_next_listing(world: Lister) -> None:
    arrival = world.store.put("incoming/flights/a", b"1")

    class Dies(FakeRuns):
        def start(self, plan: str, batches: int) -> None:
            raise Crash

    with pytest.raises(Crash):
        world.look(runs=Dies())
    world.clock.advance(LEASE)
    listing = world.look("heir")

    assert listing.plans == ()
    assert [batches for _, batches in world.runs.started] == [1]
    assert world.leased() == [arrival.id]


def test_a_run_that_stays_missing_is_ended_at_its_backstop(world: Lister) -> None:
    world.store.put("incoming/flights/a", b"1")
    (plan,) = world.look().plans
    world.runs.executions.clear()
    world.clock.advance(RUN)

    world.look()

    assert {run.id: run.status for run in world.leases.runs(5)}[plan] is RunStatus.MISSING


def test_a_live_run_whose_plan_was_cleared_away_holds_up_nobody(world: Lister) -> None:
    world.store.put("incoming/flights/a", b"1")
    (plan,) = world.look().plans
    world.store.delete(f"plans/{plan}/plan.json")

    assert len(world.look().plans) == 1
