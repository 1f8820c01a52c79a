"""Listings beside a backfill: they hand out nothing that it claims, start it, and end it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from tests.fakes.crashing import Crash, Crashing
from tests.unit.backfilling import Backfilling
from tests.unit.listing import RUN

from penstock.flows.list_incoming import list_incoming
from penstock.flows.listing_lease import LEASE
from penstock.flows.plan_of import read_plan
from penstock.flows.start_backfill import BackfillLimits
from penstock.flows.summarise_backfill import summarise_backfill
from penstock.model.arrivals import INCOMING
from penstock.model.backfills import AWAITED, is_backfill
from penstock.model.errors import PermanentError
from penstock.ports import Attempt, RunStatus


@pytest.fixture
def world() -> Backfilling:
    return Backfilling()


def test_a_listing_hands_out_nothing_that_a_live_backfill_claims(world: Backfilling) -> None:
    world.fill(5)
    world.start()
    late = world.store.put("incoming/flights/late.csv", b"1\n", modified=world.clock.now() + RUN)
    newer = world.store.put("incoming/flights/000000.csv", b"2\n", modified=world.clock.now() + RUN)

    (plan,) = world.look().plans

    assert [one.id for one in read_plan(world.store, plan).arrivals] == [late.id]
    assert newer.id != late.id  # It waits for the version before it, which is claimed.


def test_there_is_one_backfill_at_a_time(world: Backfilling) -> None:
    world.start()

    with pytest.raises(PermanentError, match="at work"):
        world.start("incoming/flights/")


def test_started_again_it_goes_on_where_it_was(world: Backfilling) -> None:
    files = world.fill(95)
    run = world.start()
    world.settle(world.plan(run, 0))
    world.runs.finish(run, RunStatus.ABORTED)
    world.limits = replace(world.limits, files=0, backfill=BackfillLimits())
    world.look()

    again = world.start()
    world.work(again)

    assert list(world.store.arrivals(INCOMING)) == []
    assert len(list(world.store.keys("processed/"))) == len(files)


def test_above_the_threshold_a_listing_starts_a_backfill_and_below_it_a_run(world: Backfilling) -> None:
    world.fill(50)
    (few,) = world.look().plans
    world.runs.finish(few)
    world.fill(51, "weather")

    (many,) = world.look().plans

    assert not is_backfill(few)
    assert is_backfill(many)
    assert world.runs.status(world.runs.execution_of(many)) is RunStatus.RUNNING


def test_a_recorded_backfill_that_was_never_started_is_started_by_the_next_listing(world: Backfilling) -> None:
    world.fill(60)
    dying = Crashing(1, after=False).through(world.runs)
    with pytest.raises(Crash):
        list_incoming(world.store, world.leases, dying, world.clock, world.datasets, world.limits, owner="dies")
    (recorded,) = world.leases.live_runs()
    assert world.runs.started == []

    world.clock.advance(LEASE)
    world.look()

    assert world.runs.started == [(recorded.id, 0)]


def test_after_one_that_failed_files_go_in_ordinary_runs_until_the_next_is_due_and_that_later_each_time(
    world: Backfilling,
) -> None:
    world.fill(60)
    waits = []
    for _ in range(3):
        (run,) = world.look().plans
        assert is_backfill(run)
        world.runs.finish(run, RunStatus.FAILED)
        (ordinary,) = world.look().plans
        assert not is_backfill(ordinary)
        world.runs.finish(ordinary)
        attempt = world.leases.waiting()[AWAITED]
        waits.append(attempt.not_before - world.clock.now())
        world.clock.advance(waits[-1])

    assert all(longer == 2 * shorter for shorter, longer in pairwise(waits))


def test_one_that_succeeded_is_no_reason_to_wait(world: Backfilling) -> None:
    world.leases.put_back([Attempt(AWAITED, 3, world.clock.now(), "it failed", "before")])
    world.fill(60)
    (run,) = world.look().plans
    world.work(run)
    world.runs.finish(run)

    world.look()

    assert AWAITED not in world.leases.waiting()
    assert world.leases.live_runs() == []


def test_one_that_died_before_its_kickoffs_is_closed_again(world: Backfilling) -> None:
    world.fill(60)
    (run,) = world.look().plans
    world.work(run)
    world.runs.finish(run, RunStatus.TIMED_OUT)

    world.look()

    (closing,) = world.leases.live_runs()
    assert closing.id == f"{run}-closing-1"
    assert not is_backfill(closing.id)


@pytest.mark.parametrize("summed", [False, True])
def test_what_settles_after_its_backfill_was_stopped_is_kicked_off_by_a_late_closing(
    world: Backfilling, summed: bool
) -> None:
    world.fill(60)
    (run,) = world.look().plans
    part = world.plan(run, 0)
    if summed:
        world.plan(run, 1)  # It stops there, since nothing of the part before is settled.
    world.runs.finish(run, RunStatus.ABORTED)
    world.limits = replace(world.limits, files=0)
    world.look()
    (late,) = world.leases.live_runs()

    world.settle(part)
    world.clock.advance(timedelta(minutes=17))
    world.look()

    assert late.id == f"{run}-closing-0"
    assert world.runs.started[-1] == (late.id, 0)
    answer = summarise_backfill(world.store, world.datasets, run, late.id)
    assert answer["kick_offs"] == [{"plan": run, "dataset": "flights"}]


def test_a_backfill_that_was_stopped_with_every_batch_settled_and_kicked_off_is_not_closed_again(
    world: Backfilling,
) -> None:
    world.fill(60)
    (run,) = world.look().plans
    world.settle(world.plan(run, 0))
    world.leases.finish_kick_off(run, "flights", "started")
    world.runs.finish(run, RunStatus.ABORTED)
    world.limits = replace(world.limits, files=0)

    world.look()

    assert world.leases.live_runs() == []
