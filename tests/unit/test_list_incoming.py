"""Listing: what is leased, what waits, and what is started."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from tests.unit.listing import RUN, Lister

from penstock.flows.listing_lease import LEASE
from penstock.flows.plan_of import read_plan
from penstock.flows.run_ids import plan_id
from penstock.flows.start_run import Limits
from penstock.model.arrivals import UNCLAIMED
from penstock.ports import Attempt


@pytest.fixture
def world() -> Lister:
    return Lister()


def test_what_arrived_is_planned_recorded_and_started(world: Lister) -> None:
    arrivals = [world.store.put(f"incoming/flights/{number}", b"12345") for number in range(25)]

    listing = world.look()

    (plan,) = listing.plans
    (run,) = world.leases.live_runs()
    assert listing.listed
    assert world.runs.started == [(plan, 3)]
    assert [len(batch.arrivals) for batch in read_plan(world.store, plan).batches] == [9, 9, 7]
    assert world.leased() == [arrival.id for arrival in arrivals]
    assert (run.id, run.execution) == (plan, world.runs.execution_of(plan))
    assert (run.batches, run.files, run.bytes, run.datasets) == (3, 25, 125, {"flights": 25})
    assert run.expires == world.clock.now() + RUN


def test_an_empty_folder_starts_nothing(world: Lister) -> None:
    listing = world.look()

    assert listing.plans == ()
    assert list(world.store.keys("")) == []
    assert world.leases.acquire_listing("next", world.clock.now(), LEASE)


def test_the_backlog_counts_all_that_is_not_settled_leased_or_not(world: Lister) -> None:
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


def test_keys_that_no_dataset_claims_are_planned_apart(world: Lister) -> None:
    world.store.put("incoming/odd/file", b"1")
    world.store.put("incoming/flights/a", b"1")

    (plan,) = world.look().plans

    assert {batch.dataset for batch in read_plan(world.store, plan).batches} == {"flights", UNCLAIMED}


def test_what_a_live_run_holds_is_not_planned_again(world: Lister) -> None:
    world.store.put("incoming/flights/a", b"1")
    world.look()
    late = world.store.put("incoming/flights/b", b"1")

    (plan,) = world.look().plans

    assert [one.id for one in read_plan(world.store, plan).arrivals] == [late.id]


def test_versions_of_a_key_are_worked_in_order_one_at_a_time(world: Lister) -> None:
    first, second, third = [world.store.put("incoming/flights/a", content) for content in (b"1", b"2", b"3")]

    world.look()
    while_it_runs = world.look()

    assert world.leased() == [first.id]
    assert while_it_runs.plans == ()
    assert second.id != third.id


def test_a_newer_version_waits_behind_one_that_was_put_back(world: Lister) -> None:
    first = world.store.put("incoming/flights/a", b"1")
    world.store.put("incoming/flights/a", b"2")
    due = world.clock.now() + timedelta(minutes=5)
    world.leases.put_back([Attempt(first.id, 1, due, "asleep")])

    before = world.look()
    world.clock.advance(timedelta(minutes=5))
    world.look()

    assert before.plans == ()
    assert world.leased() == [first.id]


def test_what_failed_twice_is_in_a_batch_of_its_own(world: Lister) -> None:
    arrivals = [world.store.put(f"incoming/flights/{number}", b"1") for number in range(5)]
    world.leases.put_back([Attempt(arrivals[2].id, 2, world.clock.now(), "it crashed")])

    (plan,) = world.look().plans

    assert sorted(len(batch.arrivals) for batch in read_plan(world.store, plan).batches) == [1, 4]


def test_the_limits_are_of_all_live_runs_together(world: Lister) -> None:
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


def test_plan_ids_are_execution_names_that_sort_by_time() -> None:
    now = datetime.fromisoformat("2026-01-15T10:11:12.345678+02:00")

    ids = [plan_id(now + timedelta(milliseconds=number)) for number in range(50)]

    assert plan_id(now, lambda _: "1a2b3c4d") == "20260115T081112-345-1a2b3c4d"
    assert ids == sorted(ids)
    assert all(set(one) <= set("0123456789abcdefT-") and len(one) <= 80 for one in ids)
    assert plan_id(now) != plan_id(now)
