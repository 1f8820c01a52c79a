"""The pace of a dataset follows what runs that are over show of its destinations."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.gathering import MINUTE, Gathering
from tests.unit.listing import dataset

from penstock.flows.plan_of import read_plan
from penstock.model.outcomes import SettledArrival, SettledBatch, Settlement
from penstock.model.plans import settled_batch_key, summary_key
from penstock.ports import RunStatus


@pytest.fixture
def world() -> Gathering:
    paced = dataset("orders", pace={"min_files": 4, "max_files": 20, "within": "5m"}, batch={"max_files": 2})
    world = Gathering(datasets={"orders": paced, "planes": dataset("planes")})
    world.put("orders", 300)
    return world


def work(
    world: Gathering, *, takes: timedelta = MINUTE, put_back: int = 0, died: int = 0, summed_up: bool = True
) -> int:
    """One run from its plan to its end; how many files it had."""
    [plan_id] = world.look().plans
    plan = read_plan(world.store, plan_id)
    world.clock.advance(takes)
    world.store._at = max(world.store._at, world.clock.now())
    for batch in plan.batches:
        settled = tuple(SettledArrival(one.id, one.key, Settlement.PROCESSED) for one in batch.arrivals)
        document = SettledBatch(plan_id, batch.number, batch.dataset, settled).to_json()
        world.store.put_json(settled_batch_key(plan_id, batch.number), document)
    totals: dict[str, Any] = {batch.dataset: {"put_back": put_back, "died": died} for batch in plan.batches}
    if summed_up:
        world.store.put_json(summary_key(plan_id), {"datasets": totals})
    for arrival in plan.arrivals:
        del world.store._versions[arrival.key]
    world.runs.finish(plan_id, RunStatus.SUCCEEDED if summed_up else RunStatus.FAILED)
    return len(plan.arrivals)


def test_each_quick_run_adds_as_much_until_the_most(world: Gathering) -> None:
    assert [work(world) for _ in range(6)] == [4, 8, 12, 16, 20, 20]


def test_a_slow_run_halves_it_and_never_below_the_least(world: Gathering) -> None:
    for _ in range(4):
        work(world)

    assert [work(world, takes=6 * MINUTE) for _ in range(4)] == [20, 10, 5, 4]


def test_a_destination_that_refuses_files_halves_it(world: Gathering) -> None:
    for _ in range(4):
        work(world)

    assert [work(world, put_back=10), work(world), work(world)] == [20, 10, 14]


def test_files_whose_workers_died_were_refused_by_nobody_and_slow_nothing_down(world: Gathering) -> None:
    for _ in range(4):
        work(world)

    assert [work(world, put_back=20, died=18) for _ in range(3)] == [20, 20, 20]
    assert [work(world, put_back=20, died=17), work(world)] == [20, 10]


def test_one_file_in_ten_that_is_put_back_is_its_own_fault(world: Gathering) -> None:
    for _ in range(4):
        work(world)

    assert [work(world, put_back=2), work(world)] == [20, 20]


def test_a_run_that_was_not_summed_up_adds_nothing(world: Gathering) -> None:
    assert [work(world, summed_up=False), work(world)] == [4, 4]


def test_runs_that_began_before_the_last_halving_don_t_halve_again(world: Gathering) -> None:
    for _ in range(4):
        work(world)
    world.limits = replace(world.limits, files=10)
    first = world.look().plans
    world.limits = replace(world.limits, files=20)
    second = world.look().plans
    for [plan] in (first, second):
        world.store.put_json(summary_key(plan), {"datasets": {"orders": {"put_back": 10}}})
        world.runs.finish(plan)
    world.clock.advance(MINUTE)

    world.look()

    assert world.memo("orders").pace == 10


def test_a_run_that_used_little_of_the_pace_adds_nothing(world: Gathering) -> None:
    for _ in range(4):
        work(world)
    world.limits = replace(world.limits, files=5)

    work(world)
    world.look()

    assert world.memo("orders").pace == 20
    world.write_memo('{"pace": 16}', "orders")
    world.runs.finish(world.leases.live_runs()[0].id)
    world.look()
    assert world.memo("orders").pace == 16


@pytest.mark.parametrize(("wrong", "files"), [('{"pace": 900000}', 20), ('{"pace": 0}', 4), ("nonsense", 4)])
def test_whatever_is_remembered_the_pace_stays_within_its_bounds(world: Gathering, wrong: str, files: int) -> None:
    world.write_memo(wrong, "orders")

    assert work(world) == files


def test_all_live_runs_together_hold_no_more_than_the_pace(world: Gathering) -> None:
    for _ in range(5):
        world.look()

    assert sum(run.files for run in world.leases.live_runs()) == 4


def test_bytes_go_with_the_pace(world: Gathering) -> None:
    pace = {"min_files": 4, "max_files": 20, "max_bytes": 30}
    world.datasets["orders"] = dataset("orders", pace=pace)

    assert [work(world), work(world)] == [3, 6]
