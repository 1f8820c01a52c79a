"""A backfill's planner and what starts it: everything is planned once, in parts, and nobody else hands it out."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.crashing import Crash, Crashing
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.runs import FakeRuns
from tests.unit.test_list_incoming import dataset

from penstock.flows.list_incoming import LEASE, Limits, Listing, list_incoming
from penstock.flows.plan_backfill import PartLimits, plan_backfill
from penstock.flows.plan_of import read_batch, read_plan
from penstock.flows.start_backfill import BackfillLimits, start_backfill
from penstock.flows.summarise_backfill import BackfillSum, summarise_backfill
from penstock.model.arrivals import INCOMING, Arrival
from penstock.model.backfills import AWAITED, is_backfill
from penstock.model.breakers import Breaker
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.model.outcomes import SettledArrival, SettledBatch, Settlement
from penstock.model.plans import Batch, settled_batch_key
from penstock.ports import Attempt, Move, RunStatus

RUN = timedelta(hours=1)
SMALL = PartLimits(batches=4, looked_at=1000)


@dataclass
class World:
    store: FakeObjectStore = field(default_factory=FakeObjectStore)
    leases: FakeLeases = field(default_factory=FakeLeases)
    runs: FakeRuns = field(default_factory=FakeRuns)
    clock: FakeClock = field(default_factory=FakeClock)
    datasets: dict[str, Dataset] = field(
        default_factory=lambda: {
            "flights": dataset("flights", batch={"max_files": 10}, kick_off={"state_machine": "after"}),
            "weather": dataset("weather", batch={"max_files": 10}),
        }
    )
    limits: Limits = field(default_factory=lambda: Limits(100, 10**9, RUN, backfill=BackfillLimits(50)))

    def __post_init__(self) -> None:
        self.clock.advance(timedelta(days=1))  # After all that the store takes.

    def fill(self, files: int, name: str = "flights") -> list[Arrival]:
        return [self.store.put(f"incoming/{name}/{number:06d}.csv", b"1\n") for number in range(files)]

    def start(self, prefix: str = INCOMING) -> str:
        lease = self.leases.acquire_listing("cli", self.clock.now(), LEASE)
        assert lease
        live = self.leases.live_runs()
        run = start_backfill(self.leases, self.runs, self.clock, lease, live, prefix, 100, 10**9, 8)
        self.leases.release_listing(lease)
        return run

    def plan(self, run: str, part: int, limits: PartLimits = SMALL, **ports: Any) -> dict[str, Any]:
        given = {"store": self.store, "leases": self.leases, "clock": self.clock, **ports}
        return plan_backfill(**given, datasets=self.datasets, run=run, number=part, limits=limits)

    def batches(self, planned: dict[str, Any]) -> list[Batch]:
        items = self.store.get_json(planned["items"])
        assert len(items) == planned["batches"]
        return [read_batch(self.store, item["plan"], item["batch"]) for item in items]

    def settle(self, planned: dict[str, Any], leave: int = 0) -> None:
        """As the batches' own steps do; the last `leave` of them are not settled."""
        items = self.store.get_json(planned["items"])
        for item in items[: len(items) - leave]:
            batch = read_batch(self.store, item["plan"], item["batch"])
            self.store.move([Move(one, f"processed/{one.id}-x") for one in batch.arrivals])
            settled = tuple(SettledArrival(one.id, one.key, Settlement.PROCESSED, rows=1) for one in batch.arrivals)
            done = SettledBatch(item["plan"], item["batch"], batch.dataset, settled)
            self.store.put_json(settled_batch_key(item["plan"], item["batch"]), done.to_json())

    def work(self, run: str, limits: PartLimits = SMALL, **ports: Any) -> list[dict[str, Any]]:
        """All of its parts, as the machine goes through them."""
        parts = [self.plan(run, 0, limits, **ports)]
        while parts[-1]["batches"] or parts[-1]["more"]:
            if parts[-1]["batches"]:
                self.settle(parts[-1])
            parts.append(self.plan(run, parts[-1]["part"], limits, **ports))
        return parts

    def look(self) -> Listing:
        given = (self.store, self.leases, self.runs, self.clock, self.datasets, self.limits)
        return list_incoming(*given, owner="listing")


@pytest.fixture
def world() -> World:
    return World()


# ── planning ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_file_is_in_one_batch_and_every_part_goes_on_where_the_one_before_ended(world: World) -> None:
    files = world.fill(95) + world.fill(7, "weather")
    run = world.start()

    parts = [part for part in world.work(run) if part["batches"]]

    batches = [batch for part in parts for batch in world.batches(part)]
    assert [one.id for batch in batches for one in batch.arrivals] == [file.id for file in files]
    assert max(len(batch.arrivals) for batch in batches) == 10
    assert max(part["batches"] for part in parts) <= SMALL.batches + len(world.datasets)
    assert len(parts) == 3


def test_a_whole_backfill_leaves_nothing_behind_and_says_what_it_did(world: World) -> None:
    world.fill(95)
    run = world.start()

    world.work(run)
    answer = summarise_backfill(world.store, world.datasets, run)

    assert list(world.store.arrivals(INCOMING)) == []
    assert answer["ok"]
    assert answer["subject"] == "Penstock: 95 of 95 files processed"
    assert answer["kick_offs"] == [{"plan": run, "dataset": "flights"}]


def test_planning_a_part_again_answers_the_same_whatever_has_come_since(world: World) -> None:
    world.fill(30)
    run = world.start()
    first = world.plan(run, 0)
    world.store.put("incoming/flights/000000-more.csv", b"2\n")
    world.settle(first)

    assert world.plan(run, 0) == first


@pytest.mark.parametrize("after", [False, True])
def test_dying_at_any_call_of_the_store_loses_nothing_and_plans_nothing_twice(*, after: bool) -> None:
    for calls in range(1000):
        world = World()
        files = world.fill(35)
        run = world.start()
        dying = Crashing(calls, after=after)
        with suppress(Crash):
            world.work(run, store=dying.through(world.store))
        if not dying.died:
            break

        parts = world.work(run)

        batches = [batch for part in parts if part["batches"] for batch in world.batches(part)]
        assert sorted(one.id for batch in batches for one in batch.arrivals) == sorted(file.id for file in files)
        assert list(world.store.arrivals(INCOMING)) == []
    assert calls > 10


def test_what_another_run_holds_and_what_waits_is_passed_over(world: World) -> None:
    held = world.fill(5)
    ordinary = World.look(world).plans[0]
    assert not is_backfill(ordinary)
    waiting = world.store.put("incoming/flights/waits.csv", b"1\n")
    world.leases.put_back([Attempt(waiting.id, 1, world.clock.now() + RUN, "the table is locked")])
    free = world.store.put("incoming/flights/zz-free.csv", b"1\n")

    planned = world.plan(world.start(), 0)

    taken = {one.id for batch in world.batches(planned) for one in batch.arrivals}
    assert taken == {free.id}
    assert taken.isdisjoint(file.id for file in held)


def test_what_was_tried_before_is_alone_in_its_batch(world: World) -> None:
    files = world.fill(5)
    world.leases.put_back([Attempt(files[2].id, 2, world.clock.now(), "the worker died")])

    batches = world.batches(world.plan(world.start(), 0))

    assert sorted(len(batch.arrivals) for batch in batches) == [1, 4]


def test_of_a_key_only_the_first_version_is_planned(world: World) -> None:
    first = world.store.put("incoming/flights/a.csv", b"1\n")
    world.store.put("incoming/flights/a.csv", b"2\n")

    (batch,) = world.batches(world.plan(world.start(), 0))

    assert [one.id for one in batch.arrivals] == [first.id]


def test_a_prefix_takes_what_is_below_it_and_nothing_else(world: World) -> None:
    world.fill(3)
    rain = world.fill(3, "weather")

    (batch,) = world.batches(world.plan(world.start("incoming/weather/"), 0))

    assert [one.id for one in batch.arrivals] == [one.id for one in rain]


def test_a_part_ends_after_so_many_versions_even_when_none_of_them_is_to_be_had(world: World) -> None:
    for file in world.fill(40):
        world.leases.put_back([Attempt(file.id, 1, world.clock.now() + RUN, "the table is locked")])
    run = world.start()

    parts = world.work(run, PartLimits(4, looked_at=15))

    assert [(part["batches"], part["more"]) for part in parts] == [(0, True), (0, True), (0, False)]


class Endless(FakeObjectStore):
    """A prefix of `files` files that are made as they are listed; of what is written the last part is kept."""

    def __init__(self, files: int) -> None:
        super().__init__()
        self.files = files
        self.listed = 0
        self.part: tuple[str, Any] = ("", None)

    def arrivals(self, prefix: str, after: str = "") -> Iterator[Arrival]:
        first = int(after[-8:] or 0) + 1
        for number in range(first, self.files + 1):
            self.listed += 1
            key = f"{prefix}flights/{number:08d}"
            yield Arrival(self.bucket, key, f"v{number}", 10, f"e{number}", datetime(2026, 1, 1, tzinfo=UTC))

    def put_json(self, key: str, document: Any) -> None:
        if "/parts/" in key:
            self.part = key, document

    def get_json(self, key: str) -> Any:
        if key == self.part[0]:
            return self.part[1]
        if "/sums/" in key:
            return BackfillSum(batches=1).to_json()
        raise KeyError(key)


def test_the_planner_holds_no_more_of_ten_times_the_files() -> None:
    def peak(files: int) -> int:
        world = World(store=Endless(files))
        run, part = world.start(), 0
        tracemalloc.start()
        while world.plan(run, part, PartLimits(40, 10**6))["more"]:
            part += 1
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert isinstance(world.store, Endless)
        assert world.store.listed >= files
        return held

    assert peak(10_000) < peak(1_000) * 1.5


# ── stopping ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_part_of_which_too_much_is_not_settled_is_the_last(world: World) -> None:
    world.fill(95)
    run = world.start()
    first = world.plan(run, 0)
    world.settle(first, leave=1)

    second = world.plan(run, 1)
    answer = summarise_backfill(world.store, world.datasets, run)

    assert (second["batches"], second["more"]) == (0, False)
    assert not answer["ok"]
    assert "STOPPED" in answer["message"]
    assert "1 of 4 batches were not settled" in answer["message"]


def test_while_a_destination_is_down_nothing_is_planned(world: World) -> None:
    world.fill(95)
    run = world.start()
    now = world.clock.now()
    world.leases.open_breaker(Breaker("warehouse", now, now + RUN, 1, "it does not answer"))

    planned = world.plan(run, 0)

    assert (planned["batches"], planned["more"]) == (0, False)
    assert "down: warehouse" in summarise_backfill(world.store, world.datasets, run)["message"]


def test_a_backfill_whose_claim_is_gone_plans_nothing(world: World) -> None:
    world.fill(5)
    run = world.start()
    world.leases.end_run(run, RunStatus.TIMED_OUT, world.clock.now())

    with pytest.raises(PermanentError, match="holds no claim"):
        world.plan(run, 0)


# ── claims ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_listing_hands_out_nothing_that_a_live_backfill_claims(world: World) -> None:
    world.fill(5)
    world.start()
    late = world.store.put("incoming/flights/late.csv", b"1\n", modified=world.clock.now() + RUN)
    newer = world.store.put("incoming/flights/000000.csv", b"2\n", modified=world.clock.now() + RUN)

    (plan,) = world.look().plans

    assert [one.id for one in read_plan(world.store, plan).arrivals] == [late.id]
    assert newer.id != late.id  # It waits for the version before it, which is claimed.


def test_there_is_one_backfill_at_a_time(world: World) -> None:
    world.start()

    with pytest.raises(PermanentError, match="at work"):
        world.start("incoming/flights/")


def test_started_again_it_goes_on_where_it_was(world: World) -> None:
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


# ── the lister ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_above_the_threshold_a_listing_starts_a_backfill_and_below_it_a_run(world: World) -> None:
    world.fill(50)
    (few,) = world.look().plans
    world.runs.finish(few)
    world.fill(51, "weather")

    (many,) = world.look().plans

    assert not is_backfill(few)
    assert is_backfill(many)
    assert world.runs.status(world.runs.execution_of(many)) is RunStatus.RUNNING


def test_a_recorded_backfill_that_was_never_started_is_started_by_the_next_listing(world: World) -> None:
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
    world: World,
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


def test_one_that_succeeded_is_no_reason_to_wait(world: World) -> None:
    world.leases.put_back([Attempt(AWAITED, 3, world.clock.now(), "it failed", "before")])
    world.fill(60)
    (run,) = world.look().plans
    world.work(run)
    world.runs.finish(run)

    world.look()

    assert AWAITED not in world.leases.waiting()
    assert world.leases.live_runs() == []


def test_one_that_died_before_its_kickoffs_is_closed_again(world: World) -> None:
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
    world: World, summed: bool
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


def test_a_backfill_that_was_stopped_with_every_batch_settled_and_kicked_off_is_not_closed_again(world: World) -> None:
    world.fill(60)
    (run,) = world.look().plans
    world.settle(world.plan(run, 0))
    world.leases.finish_kick_off(run, "flights", "started")
    world.runs.finish(run, RunStatus.ABORTED)
    world.limits = replace(world.limits, files=0)

    world.look()

    assert world.leases.live_runs() == []
