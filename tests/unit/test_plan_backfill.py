"""A backfill's planner: everything is planned once, in parts, and none that is hopeless."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.fakes.crashing import Crash, Crashing
from tests.fakes.object_store import FakeObjectStore
from tests.unit.backfilling import SMALL, Backfilling
from tests.unit.listing import RUN

from penstock.flows.plan_backfill import PartLimits
from penstock.flows.summarise_backfill import BackfillSum, summarise_backfill
from penstock.model.arrivals import INCOMING, Arrival
from penstock.model.backfills import is_backfill
from penstock.model.breakers import Breaker
from penstock.model.errors import PermanentError
from penstock.ports import Attempt, RunStatus


@pytest.fixture
def world() -> Backfilling:
    return Backfilling()


def test_every_file_is_in_one_batch_and_every_part_goes_on_where_the_one_before_ended(world: Backfilling) -> None:
    files = world.fill(95) + world.fill(7, "weather")
    run = world.start()

    parts = [part for part in world.work(run) if part["batches"]]

    batches = [batch for part in parts for batch in world.batches(part)]
    assert [one.id for batch in batches for one in batch.arrivals] == [file.id for file in files]
    assert max(len(batch.arrivals) for batch in batches) == 10
    assert max(part["batches"] for part in parts) <= SMALL.batches + len(world.datasets)
    assert len(parts) == 3


def test_a_whole_backfill_leaves_nothing_behind_and_says_what_it_did(world: Backfilling) -> None:
    world.fill(95)
    run = world.start()

    world.work(run)
    answer = summarise_backfill(world.store, world.datasets, run)

    assert list(world.store.arrivals(INCOMING)) == []
    assert answer["ok"]
    assert answer["subject"] == "Penstock: 95 of 95 files processed"
    assert answer["kick_offs"] == [{"plan": run, "dataset": "flights"}]


def test_planning_a_part_again_answers_the_same_whatever_has_come_since(world: Backfilling) -> None:
    world.fill(30)
    run = world.start()
    first = world.plan(run, 0)
    world.store.put("incoming/flights/000000-more.csv", b"2\n")
    world.settle(first)

    assert world.plan(run, 0) == first


@pytest.mark.parametrize("after", [False, True])
def test_dying_at_any_call_of_the_store_loses_nothing_and_plans_nothing_twice(*, after: bool) -> None:
    for calls in range(1000):
        world = Backfilling()
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


def test_what_another_run_holds_and_what_waits_is_passed_over(world: Backfilling) -> None:
    held = world.fill(5)
    ordinary = world.look().plans[0]
    assert not is_backfill(ordinary)
    waiting = world.store.put("incoming/flights/waits.csv", b"1\n")
    world.leases.put_back([Attempt(waiting.id, 1, world.clock.now() + RUN, "the table is locked")])
    free = world.store.put("incoming/flights/zz-free.csv", b"1\n")

    planned = world.plan(world.start(), 0)

    taken = {one.id for batch in world.batches(planned) for one in batch.arrivals}
    assert taken == {free.id}
    assert taken.isdisjoint(file.id for file in held)


def test_what_was_tried_before_is_alone_in_its_batch(world: Backfilling) -> None:
    files = world.fill(5)
    world.leases.put_back([Attempt(files[2].id, 2, world.clock.now(), "the worker died")])

    batches = world.batches(world.plan(world.start(), 0))

    assert sorted(len(batch.arrivals) for batch in batches) == [1, 4]


def test_of_a_key_only_the_first_version_is_planned(world: Backfilling) -> None:
    first = world.store.put("incoming/flights/a.csv", b"1\n")
    world.store.put("incoming/flights/a.csv", b"2\n")

    (batch,) = world.batches(world.plan(world.start(), 0))

    assert [one.id for one in batch.arrivals] == [first.id]


def test_a_prefix_takes_what_is_below_it_and_nothing_else(world: Backfilling) -> None:
    world.fill(3)
    rain = world.fill(3, "weather")

    (batch,) = world.batches(world.plan(world.start("incoming/weather/"), 0))

    assert [one.id for one in batch.arrivals] == [one.id for one in rain]


def test_a_part_ends_after_so_many_versions_even_when_none_of_them_is_to_be_had(world: Backfilling) -> None:
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
        world = Backfilling(store=Endless(files))
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


def test_a_part_of_which_too_much_is_not_settled_is_the_last(world: Backfilling) -> None:
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


def test_while_a_destination_is_down_nothing_is_planned(world: Backfilling) -> None:
    world.fill(95)
    run = world.start()
    now = world.clock.now()
    world.leases.open_breaker(Breaker("warehouse", now, now + RUN, 1, "it does not answer"))

    planned = world.plan(run, 0)

    assert (planned["batches"], planned["more"]) == (0, False)
    assert "down: warehouse" in summarise_backfill(world.store, world.datasets, run)["message"]


def test_a_backfill_whose_claim_is_gone_plans_nothing(world: Backfilling) -> None:
    world.fill(5)
    run = world.start()
    world.leases.end_run(run, RunStatus.TIMED_OUT, world.clock.now())

    with pytest.raises(PermanentError, match="holds no claim"):
        world.plan(run, 0)
