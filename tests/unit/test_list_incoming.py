"""Listing: what is leased, what waits, what is started, and that two at once or a dead one do no harm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.crashing import Crash, Crashing
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.runs import FakeRuns

from penstock.flows.list_incoming import LEASE, Limits, Listing, list_incoming
from penstock.flows.plan_of import read_plan
from penstock.flows.run_ids import plan_id
from penstock.model.arrivals import UNCLAIMED, Arrival
from penstock.model.datasets import Dataset
from penstock.model.errors import TransientError
from penstock.ports import Attempt, Move, RunStatus

RUN = timedelta(hours=1)


def dataset(name: str, **changes: Any) -> Dataset:
    column = {"name": "id", "type": "integer"}
    return Dataset.model_validate(
        {"name": name, "prefix": f"{name}/", "format": "csv", "columns": [column], "table": name, **changes}
    )


@dataclass
class World:
    store: FakeObjectStore = field(default_factory=FakeObjectStore)
    leases: FakeLeases = field(default_factory=FakeLeases)
    runs: FakeRuns = field(default_factory=FakeRuns)
    clock: FakeClock = field(default_factory=FakeClock)
    datasets: dict[str, Dataset] = field(
        default_factory=lambda: {name: dataset(name, batch={"max_files": 10}) for name in ("flights", "weather")}
    )
    limits: Limits = field(default_factory=lambda: Limits(100, 10**9, RUN))

    def look(self, owner: str = "listing", **ports: Any) -> Listing:
        given = {"store": self.store, "leases": self.leases, "runs": self.runs, "clock": self.clock, **ports}
        return list_incoming(**given, datasets=self.datasets, limits=self.limits, owner=owner)

    def planned(self) -> list[str]:
        """The arrival ids of all live runs, one after the other."""
        return [one.id for run in self.leases.live_runs() for one in read_plan(self.store, run.id).arrivals]

    def end(self, plan: str, status: RunStatus = RunStatus.SUCCEEDED) -> None:
        self.runs.finish(plan, status)


@pytest.fixture
def world() -> World:
    return World()


# ── one listing ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_arrived_is_planned_recorded_and_started(world: World) -> None:
    arrivals = [world.store.put(f"incoming/flights/{number}", b"12345") for number in range(25)]

    listing = world.look()

    (plan,) = listing.plans
    (run,) = world.leases.live_runs()
    assert listing.listed
    assert world.runs.started == [(plan, 3)]
    assert [len(batch.arrivals) for batch in read_plan(world.store, plan).batches] == [9, 9, 7]
    assert world.planned() == [arrival.id for arrival in arrivals]
    assert (run.id, run.execution) == (plan, world.runs.execution_of(plan))
    assert (run.batches, run.files, run.bytes, run.datasets) == (3, 25, 125, {"flights": 25})
    assert run.expires == world.clock.now() + RUN


def test_an_empty_folder_starts_nothing(world: World) -> None:
    listing = world.look()

    assert listing.plans == ()
    assert list(world.store.keys("")) == []
    assert world.leases.acquire_listing("next", world.clock.now(), LEASE)


def test_the_backlog_counts_all_that_is_not_settled_leased_or_not(world: World) -> None:
    first = world.store.put("incoming/flights/a", b"1234")
    world.look()
    world.store.put("incoming/flights/a", b"12")
    world.store.put("incoming/odd/file", b"1")
    world.clock.advance(timedelta(hours=2))

    listing = world.look()

    flights, weather, unclaimed = (listing.backlog[name] for name in ("flights", "weather", UNCLAIMED))
    assert (flights.files, flights.bytes, flights.oldest) == (2, 6, first.modified)
    assert flights.oldest_age(listing.at) == (listing.at - first.modified).total_seconds()
    assert (weather.files, weather.oldest_age(listing.at)) == (0, 0.0)
    assert unclaimed.files == 1


def test_keys_that_no_dataset_claims_are_planned_apart(world: World) -> None:
    world.store.put("incoming/odd/file", b"1")
    world.store.put("incoming/flights/a", b"1")

    (plan,) = world.look().plans

    assert {batch.dataset for batch in read_plan(world.store, plan).batches} == {"flights", UNCLAIMED}


# ── what is not eligible ────────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_live_run_holds_is_not_planned_again(world: World) -> None:
    world.store.put("incoming/flights/a", b"1")
    world.look()
    late = world.store.put("incoming/flights/b", b"1")

    (plan,) = world.look().plans

    assert [one.id for one in read_plan(world.store, plan).arrivals] == [late.id]


def test_versions_of_a_key_are_worked_in_order_one_at_a_time(world: World) -> None:
    first, second, third = [world.store.put("incoming/flights/a", content) for content in (b"1", b"2", b"3")]

    world.look()
    while_it_runs = world.look()

    assert world.planned() == [first.id]
    assert while_it_runs.plans == ()
    assert second.id != third.id


def test_a_newer_version_waits_behind_one_that_was_put_back(world: World) -> None:
    first = world.store.put("incoming/flights/a", b"1")
    world.store.put("incoming/flights/a", b"2")
    due = world.clock.now() + timedelta(minutes=5)
    world.leases.put_back([Attempt(first.id, 1, due, "asleep")])

    before = world.look()
    world.clock.advance(timedelta(minutes=5))
    world.look()

    assert before.plans == ()
    assert world.planned() == [first.id]


def test_what_failed_twice_is_in_a_batch_of_its_own(world: World) -> None:
    arrivals = [world.store.put(f"incoming/flights/{number}", b"1") for number in range(5)]
    world.leases.put_back([Attempt(arrivals[2].id, 2, world.clock.now(), "it crashed")])

    (plan,) = world.look().plans

    assert sorted(len(batch.arrivals) for batch in read_plan(world.store, plan).batches) == [1, 4]


def test_the_limits_are_of_all_live_runs_together(world: World) -> None:
    world.limits = Limits(files=4, bytes=10, run=RUN)
    for number in range(3):
        world.store.put(f"incoming/flights/{number}", b"123")
    world.look()
    world.store.put("incoming/weather/a", b"1")
    world.store.put("incoming/weather/b", b"")

    world.look()
    full = world.look()

    assert sum(run.files for run in world.leases.live_runs()) == 4
    assert sum(run.bytes for run in world.leases.live_runs()) == 10
    assert full.plans == ()


# ── runs that died ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.ABORTED, RunStatus.SUCCEEDED])
def test_a_run_that_is_over_holds_nothing(world: World, status: RunStatus) -> None:
    left = world.store.put("incoming/flights/a", b"1")
    (dead,) = world.look().plans
    world.end(dead, status)

    (heir,) = world.look().plans

    assert world.planned() == [left.id]
    assert {run.id: run.status for run in world.leases.runs(5)} == {dead: status, heir: RunStatus.RUNNING}


def test_a_run_that_always_fails_starts_others_ever_more_seldom(world: World) -> None:
    arrival = world.store.put("incoming/flights/a", b"1")
    started = []

    for _ in range(2 * 3600):
        for plan in world.look().plans:
            started.append(world.clock.now())
            world.end(plan, RunStatus.FAILED)
        world.clock.advance(timedelta(seconds=1))

    waits = [int((later - before).total_seconds()) for before, later in pairwise(started)]
    # Each a second longer than its wait: that the run is over is only seen by the listing after it.
    assert waits == [1, 31, 61, 121, 241, 481, 961, 1921]
    waiting = world.leases.waiting()[arrival.id]
    assert waiting.attempts == len(started)
    assert f"Run {waiting.run} ended FAILED" in waiting.reason


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.ABORTED])
def test_a_run_that_ended_badly_was_an_attempt_on_what_it_left(world: World, status: RunStatus) -> None:
    left = world.store.put("incoming/flights/left", b"1")
    back = world.store.put("incoming/flights/back", b"1")
    (plan,) = world.look().plans
    later = world.clock.now() + timedelta(minutes=1)
    world.leases.put_back([Attempt(back.id, 3, later, "asleep", plan)])
    world.end(plan, status)

    (next_plan,) = world.look().plans

    assert [one.id for one in read_plan(world.store, next_plan).arrivals] == [left.id]
    attempts = {id_: attempt.attempts for id_, attempt in world.leases.waiting().items()}
    assert attempts == {left.id: 1, back.id: 3}


def test_what_a_run_moved_before_it_ended_badly_waits_for_nothing_any_more(world: World) -> None:
    moved = world.store.put("incoming/flights/moved", b"1")
    left = world.store.put("incoming/flights/left", b"1")
    (plan,) = world.look().plans
    world.leases.put_back([Attempt(one.id, 1, world.clock.now(), "asleep", "a run before") for one in (moved, left)])
    world.store.move([Move(moved, "processed/flights/moved")])
    world.end(plan, RunStatus.FAILED)

    world.look()

    assert world.leases.waiting().keys() == {left.id}


def test_a_run_that_succeeded_counts_no_attempt(world: World) -> None:
    world.store.put("incoming/flights/a", b"1")
    (plan,) = world.look().plans
    world.end(plan)

    world.look()

    assert world.leases.waiting() == {}


def test_a_backlog_larger_than_a_plan_drains_by_the_ends_of_its_runs_and_then_there_is_silence(world: World) -> None:
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
            world.end(plan)
            asked += 1  # The rule on ended runs.

    assert len(plans) == 3
    assert [one.id for one in world.store.arrivals("incoming/")] == [back.id]


def test_a_run_that_goes_on_past_its_backstop_holds_nothing(world: World) -> None:
    world.store.put("incoming/flights/a", b"1")
    (stuck,) = world.look().plans
    world.clock.advance(RUN)

    (heir,) = world.look().plans

    assert {run.id: run.status for run in world.leases.runs(5)}[stuck] is RunStatus.TIMED_OUT
    assert heir != stuck


def test_a_run_that_was_recorded_and_never_started_is_started_by_the_next_listing(world: World) -> None:
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
    assert world.planned() == [arrival.id]


def test_a_run_that_stays_missing_is_ended_at_its_backstop(world: World) -> None:
    world.store.put("incoming/flights/a", b"1")
    (plan,) = world.look().plans
    world.runs.executions.clear()
    world.clock.advance(RUN)

    world.look()

    assert {run.id: run.status for run in world.leases.runs(5)}[plan] is RunStatus.MISSING


def test_a_live_run_whose_plan_was_cleared_away_holds_up_nobody(world: World) -> None:
    world.store.put("incoming/flights/a", b"1")
    (plan,) = world.look().plans
    world.store.delete(f"plans/{plan}/plan.json")

    assert len(world.look().plans) == 1


# ── two at once ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Interrupted(FakeObjectStore):
    """Something happens while the listing is under way, once: after the first file."""

    happens: Any = None

    def arrivals(self, prefix: str, after: str = "") -> Iterator[Arrival]:
        for arrival in list(super().arrivals(prefix, after)):
            yield arrival
            event, self.happens = self.happens, None
            if event:
                event()


def test_a_second_listing_leaves_it_to_the_first_which_lists_once_more(world: World) -> None:
    world.store = store = Interrupted()
    store.put("incoming/flights/b", b"1")
    others: list[Listing] = []

    def event() -> None:
        store.put("incoming/flights/a", b"1")  # Its place in the listing has gone by.
        others.append(world.look("second"))

    store.happens = event
    listing = world.look("first")

    assert [other.listed for other in others] == [False]
    assert len(listing.plans) == 2
    assert listing.backlog["flights"].files == 2
    assert len(world.planned()) == 2


def test_a_listing_that_was_overtaken_starts_nothing(world: World) -> None:
    world.store = store = Interrupted()
    arrival = store.put("incoming/flights/a", b"1")
    overtaking: list[Listing] = []

    def event() -> None:
        world.clock.advance(LEASE)
        overtaking.append(world.look("second"))

    store.happens = event
    with pytest.raises(TransientError):
        world.look("first")

    assert len(overtaking[0].plans) == 1
    assert world.planned() == [arrival.id]
    assert len(world.runs.started) == 1


def test_a_long_listing_prolongs_its_lease(world: World) -> None:
    class Slow(FakeObjectStore):
        def arrivals(self, prefix: str, after: str = "") -> Iterator[Arrival]:
            for number in range(5000):
                if number % 1000 == 0:
                    world.clock.advance(LEASE * 0.4)
                yield self.put(f"elsewhere/{number}", b"")

    listing = world.look(store=Slow())

    assert listing.listed


# ── killed anywhere ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_listing_that_is_killed_anywhere_leaves_nothing_stuck_or_twice() -> None:
    died = 0
    for calls in range(200):
        for after in (False, True):
            world = World()
            arrivals = [world.store.put(f"incoming/flights/{number}", b"1") for number in range(12)]
            ended = world.look("before").plans[0]
            world.end(ended)
            arrivals.append(world.store.put("incoming/weather/late", b"1"))
            crash = Crashing(calls, after=after)
            try:
                world.look(
                    "dies", **{name: crash.through(getattr(world, name)) for name in ("store", "leases", "runs")}
                )
            except Crash:
                died += 1

            world.clock.advance(LEASE)
            world.look("heir")

            assert sorted(world.planned()) == sorted(one.id for one in arrivals)
            assert {world.runs.status(run.execution) for run in world.leases.live_runs()} == {RunStatus.RUNNING}
        if not crash.died:
            break
    assert died > 15


# ── names ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_plan_ids_are_execution_names_that_sort_by_time() -> None:
    now = datetime.fromisoformat("2026-01-15T10:11:12.345678+02:00")

    ids = [plan_id(now + timedelta(milliseconds=number)) for number in range(50)]

    assert plan_id(now, lambda _: "1a2b3c4d") == "20260115T081112-345-1a2b3c4d"
    assert ids == sorted(ids)
    assert all(set(one) <= set("0123456789abcdefT-") and len(one) <= 80 for one in ids)
    assert plan_id(now) != plan_id(now)
