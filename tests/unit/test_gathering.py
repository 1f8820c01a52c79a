"""A dataset with `flush` waits for files, bytes or age, whatever the memos of earlier listings say."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.runs import FakeRuns

from penstock.flows.list_incoming import Limits, Listing, list_incoming
from penstock.flows.plan_of import read_plan
from penstock.model.datasets import Dataset
from penstock.model.memos import BacklogMemo, DatasetMemo
from penstock.ports import Memo

MINUTE = timedelta(minutes=1)
_CSV = {"format": "csv", "columns": [{"name": "id", "type": "integer"}]}


def dataset(name: str, **options: object) -> Dataset:
    return Dataset.model_validate({"name": name, "prefix": f"{name}/", "table": name, **_CSV, **options})


@dataclass
class World:
    datasets: dict[str, Dataset] = field(
        default_factory=lambda: {
            "clicks": dataset("clicks", flush={"files": 5, "bytes": "1 KiB", "after": "5m"}, expect_every="1h"),
            "orders": dataset("orders"),
        }
    )
    limits: Limits = field(default_factory=lambda: Limits(100, 10**9, timedelta(hours=1)))
    store: FakeObjectStore = field(default_factory=FakeObjectStore)
    leases: FakeLeases = field(default_factory=FakeLeases)
    runs: FakeRuns = field(default_factory=FakeRuns)
    clock: FakeClock = field(default_factory=FakeClock)
    number: int = 0

    def put(self, name: str, files: int = 1, data: bytes = b"1\n") -> None:
        for _ in range(files):
            self.number += 1
            self.store.put(f"incoming/{name}/{self.number:04d}.csv", data, modified=self.clock.now())

    def look(self) -> Listing:
        return list_incoming(self.store, self.leases, self.runs, self.clock, self.datasets, self.limits, "listing")

    def planned(self) -> int:
        """Files of the plans of a listing, whose runs end and settle them."""
        files = 0
        for plan in self.look().plans:
            arrivals = read_plan(self.store, plan).arrivals
            files += len(arrivals)
            for arrival in arrivals:
                del self.store._versions[arrival.key]
            self.runs.finish(plan)
        return files

    def memo(self, name: str = "clicks") -> DatasetMemo:
        return DatasetMemo.of(self.leases.memos()[name].text)

    def write_memo(self, text: str, name: str = "clicks") -> None:
        version = self.leases.memos()[name].version if name in self.leases.memos() else 0
        assert self.leases.keep_memo(Memo(name, text, version))


@pytest.fixture
def world() -> World:
    return World()


def test_a_few_files_wait_and_one_more_makes_all_of_them_go_together(world: World) -> None:
    world.put("clicks", 4)
    waited = world.planned()

    world.put("clicks")

    assert waited == 0
    assert world.planned() == 5


def test_bytes_are_enough(world: World) -> None:
    world.put("clicks", 2, data=b"x" * 512)

    assert world.planned() == 2


def test_a_trickle_goes_when_its_oldest_file_has_waited_long_enough(world: World) -> None:
    planned = []
    for _ in range(5):
        world.put("clicks")
        planned.append(world.planned())
        world.clock.advance(MINUTE)

    world.limits = replace(world.limits, files=1000)

    assert planned == [0, 0, 0, 0, 5]


def test_one_file_goes_after_the_time_and_not_before(world: World) -> None:
    world.put("clicks")

    world.clock.advance(5 * MINUTE - timedelta(seconds=1))
    early = world.planned()
    world.clock.advance(timedelta(seconds=1))

    assert (early, world.planned()) == (0, 1)


def test_other_datasets_don_t_wait(world: World) -> None:
    world.put("clicks")
    world.put("orders")

    assert world.planned() == 1


def test_what_had_no_room_in_a_flush_does_not_wait_again(world: World) -> None:
    world.limits = replace(world.limits, files=3)
    world.put("clicks", 5)

    assert [world.planned(), world.planned(), world.planned()] == [3, 2, 0]


def test_the_memo_says_what_is_being_gathered(world: World) -> None:
    world.put("clicks", 3)

    world.planned()

    memo = world.memo()
    assert (memo.files, memo.bytes, memo.since) == (3, 6, world.clock.now())


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "{",
        '{"files": -3, "flushed": "yesterday"}',
        '{"since": "2031-01-01T00:00:00Z", "files": 900000, "bytes": 900000, "flushed": null}',
        '{"pace": "fast", "slowed": 7}',
    ],
)
def test_a_memo_that_is_wrong_delays_nothing_and_is_right_after_one_listing(world: World, wrong: str) -> None:
    world.put("clicks", 3)
    world.write_memo(wrong)

    now = world.planned()
    memo = world.memo()
    world.clock.advance(5 * MINUTE)

    assert (now, world.planned()) == (0, 3)
    assert (memo.files, memo.flushed) == (3, None)


def test_a_memo_that_is_lost_between_any_two_listings_changes_nothing(world: World) -> None:
    planned = []
    for _ in range(5):
        world.put("clicks")
        planned.append(world.planned())
        world.leases._memos.clear()
        world.clock.advance(MINUTE)

    assert [*planned, world.planned()] == [0, 0, 0, 0, 5, 0]


def test_a_listing_writes_no_memo_for_what_has_not_changed_and_none_per_file(world: World) -> None:
    kept: list[Memo] = []
    keep = world.leases.keep_memo
    world.leases.keep_memo = lambda memo: kept.append(memo) or keep(memo)  # type: ignore[method-assign, func-returns-value] # A spy.
    world.put("clicks", 4)
    world.put("orders", 50)
    world.planned()

    first = len(kept)
    world.look()
    world.look()

    assert first == 2, "of clicks and of the stack"
    assert len(kept) == 3, "the stack's, whose backlog has fallen"


# ── the pause between runs ──────────────────────────────────────────────────────────────────────────────────────────


def test_runs_keep_their_distance(world: World) -> None:
    world.limits = replace(world.limits, between=3 * MINUTE)
    planned = []
    for _ in range(7):
        world.put("orders")
        planned.append(world.planned())
        world.clock.advance(MINUTE)

    assert planned == [1, 0, 0, 3, 0, 0, 3]


# ── the destination's connections ───────────────────────────────────────────────────────────────────────────────────


def test_live_runs_together_work_no_more_batches_than_the_destination_has_connections_for(world: World) -> None:
    world.limits = replace(world.limits, files=10_000, parallel=4, at_work=9)
    world.datasets = {"orders": dataset("orders", batch={"max_files": 1}), "planes": dataset("planes")}
    at_work = []
    for _ in range(5):
        world.put("orders", 6)
        world.look()
        at_work.append(sum(min(run.batches, 4) for run in world.leases.live_runs()))

    assert at_work == [4, 8, 8, 8, 8]


@pytest.mark.parametrize(("parallel", "at_work"), [(4, 10), (4, 9), (2, 2), (8, 4), (8, 8)])
def test_a_dataset_that_no_run_works_finds_a_connection_though_another_could_use_them_all(
    world: World, parallel: int, at_work: int
) -> None:
    world.limits = replace(world.limits, files=10_000, parallel=parallel, at_work=at_work)
    world.datasets = {"orders": dataset("orders", batch={"max_files": 1}), "planes": dataset("planes")}
    for _ in range(5):
        world.put("orders", 6)
        world.look()
    taken = sum(min(run.batches, parallel) for run in world.leases.live_runs())

    world.put("planes")
    [plan] = world.look().plans

    assert taken == at_work - 1
    assert {batch.dataset for batch in read_plan(world.store, plan).batches} == {"planes"}


def test_where_one_batch_alone_may_be_worked_it_is_anybody_s(world: World) -> None:
    world.limits = replace(world.limits, files=10_000, parallel=4, at_work=1)
    world.datasets = {"orders": dataset("orders", batch={"max_files": 1})}
    world.put("orders", 3)

    world.look()
    world.look()

    assert [run.batches for run in world.leases.live_runs()] == [1]


def test_a_small_dataset_finds_room_though_another_could_lease_it_all(world: World) -> None:
    world.datasets = {"orders": dataset("orders"), "planes": dataset("planes")}
    world.put("orders", 500)
    world.look()
    world.look()

    world.put("planes", 10)
    world.look()

    live = world.leases.live_runs()
    assert sum(run.datasets.get("orders", 0) for run in live) == 90
    assert sum(run.datasets.get("planes", 0) for run in live) == 10


# ── silence ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dataset_that_expects_files_is_silent_when_none_comes_for_longer(world: World) -> None:
    world.put("clicks", 5)
    silent = [world.look().silent]
    world.planned()
    for minutes in (60, 1):
        world.clock.advance(minutes * MINUTE)
        silent.append(world.look().silent)
    world.put("clicks")
    silent.append(world.look().silent)

    assert [one["clicks"] for one in silent] == [False, False, True, False]
    assert "orders" not in silent[0]


def test_one_of_which_nothing_ever_came_is_silent_after_that_time(world: World) -> None:
    first = world.look().silent["clicks"]
    world.clock.advance(61 * MINUTE)

    assert (first, world.look().silent["clicks"]) == (False, True)


# ── how the backlog goes ────────────────────────────────────────────────────────────────────────────────────────────


def test_what_waits_for_its_flush_is_no_backlog_that_grows(world: World) -> None:
    world.datasets["clicks"] = dataset("clicks", flush={"files": 1000, "after": "2h"})
    for _ in range(60):
        world.put("clicks")
        listing = world.look()
        world.clock.advance(MINUTE)

    assert (listing.growing_minutes, listing.stuck_minutes) == (0, 0)


def test_a_backlog_that_nothing_takes_is_stuck_and_grows(world: World) -> None:
    world.limits = replace(world.limits, files=1)
    for _ in range(45):
        world.put("orders")
        listing = world.look()
        world.clock.advance(MINUTE)

    assert listing.stuck_minutes == 44
    assert listing.growing_minutes == 44


def test_a_backlog_that_is_empty_once_begins_anew() -> None:
    now = FakeClock().now()
    memo = BacklogMemo(ran=now)
    for minute in range(30):
        memo = memo.seen(minute + 1, now, now + minute * MINUTE)

    assert memo.growing
    assert memo.seen(0, None, now) == BacklogMemo(ran=now)
