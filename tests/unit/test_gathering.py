"""A dataset with `flush` waits for files, bytes or age, whatever the memos of earlier listings say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.fakes.clock import FakeClock
from tests.unit.gathering import MINUTE, Gathering
from tests.unit.listing import dataset

from penstock.flows.plan_of import read_plan
from penstock.model.memos import BacklogMemo
from penstock.ports import Memo


@pytest.fixture
def world() -> Gathering:
    return Gathering()


def test_a_few_files_wait_and_one_more_makes_all_of_them_go_together(world: Gathering) -> None:
    world.put("clicks", 4)
    waited = world.planned()

    world.put("clicks")

    assert waited == 0
    assert world.planned() == 5


def test_bytes_are_enough(world: Gathering) -> None:
    world.put("clicks", 2, data=b"x" * 512)

    assert world.planned() == 2


def test_a_trickle_goes_when_its_oldest_file_has_waited_long_enough(world: Gathering) -> None:
    planned = []
    for _ in range(5):
        world.put("clicks")
        planned.append(world.planned())
        world.clock.advance(MINUTE)

    world.limits = replace(world.limits, files=1000)

    assert planned == [0, 0, 0, 0, 5]


def test_one_file_goes_after_the_time_and_not_before(world: Gathering) -> None:
    world.put("clicks")

    world.clock.advance(5 * MINUTE - timedelta(seconds=1))
    early = world.planned()
    world.clock.advance(timedelta(seconds=1))

    assert (early, world.planned()) == (0, 1)


def test_other_datasets_don_t_wait(world: Gathering) -> None:
    world.put("clicks")
    world.put("orders")

    assert world.planned() == 1


def test_what_had_no_room_in_a_flush_does_not_wait_again(world: Gathering) -> None:
    world.limits = replace(world.limits, files=3)
    world.put("clicks", 5)

    assert [world.planned(), world.planned(), world.planned()] == [3, 2, 0]


def test_the_memo_says_what_is_being_gathered(world: Gathering) -> None:
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
def test_a_memo_that_is_wrong_delays_nothing_and_is_right_after_one_listing(world: Gathering, wrong: str) -> None:
    world.put("clicks", 3)
    world.write_memo(wrong)

    now = world.planned()
    memo = world.memo()
    world.clock.advance(5 * MINUTE)

    assert (now, world.planned()) == (0, 3)
    assert (memo.files, memo.flushed) == (3, None)


def test_a_memo_that_is_lost_between_any_two_listings_changes_nothing(world: Gathering) -> None:
    planned = []
    for _ in range(5):
        world.put("clicks")
        planned.append(world.planned())
        world.leases._memos.clear()
        world.clock.advance(MINUTE)

    assert [*planned, world.planned()] == [0, 0, 0, 0, 5, 0]


def test_a_listing_writes_no_memo_for_what_has_not_changed_and_none_per_file(world: Gathering) -> None:
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


def test_runs_keep_their_distance(world: Gathering) -> None:
    world.limits = replace(world.limits, between=3 * MINUTE)
    planned = []
    for _ in range(7):
        world.put("orders")
        planned.append(world.planned())
        world.clock.advance(MINUTE)

    assert planned == [1, 0, 0, 3, 0, 0, 3]


def test_live_runs_together_work_no_more_batches_than_the_destination_has_connections_for(world: Gathering) -> None:
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
    world: Gathering, parallel: int, at_work: int
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


def test_where_one_batch_alone_may_be_worked_it_is_anybody_s(world: Gathering) -> None:
    world.limits = replace(world.limits, files=10_000, parallel=4, at_work=1)
    world.datasets = {"orders": dataset("orders", batch={"max_files": 1})}
    world.put("orders", 3)

    world.look()
    world.look()

    assert [run.batches for run in world.leases.live_runs()] == [1]


def test_a_small_dataset_finds_room_though_another_could_lease_it_all(world: Gathering) -> None:
    world.datasets = {"orders": dataset("orders"), "planes": dataset("planes")}
    world.put("orders", 500)
    world.look()
    world.look()

    world.put("planes", 10)
    world.look()

    live = world.leases.live_runs()
    assert sum(run.datasets.get("orders", 0) for run in live) == 90
    assert sum(run.datasets.get("planes", 0) for run in live) == 10


def test_a_dataset_that_expects_files_is_silent_when_none_comes_for_longer(world: Gathering) -> None:
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


def test_one_of_which_nothing_ever_came_is_silent_after_that_time(world: Gathering) -> None:
    first = world.look().silent["clicks"]
    world.clock.advance(61 * MINUTE)

    assert (first, world.look().silent["clicks"]) == (False, True)


def test_what_waits_for_its_flush_is_no_backlog_that_grows(world: Gathering) -> None:
    world.datasets["clicks"] = dataset("clicks", flush={"files": 1000, "after": "2h"})
    for _ in range(60):
        world.put("clicks")
        listing = world.look()
        world.clock.advance(MINUTE)

    assert (listing.growing_minutes, listing.stuck_minutes) == (0, 0)


def test_a_backlog_that_nothing_takes_is_stuck_and_grows(world: Gathering) -> None:
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
