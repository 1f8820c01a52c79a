"""Outages end by themselves, cost nobody an attempt, and hold up only what goes there."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.whole_way import MINUTE, WholeWay, dataset

from penstock.flows.plan_of import read_plan
from penstock.model.breakers import tripped
from penstock.model.errors import DestinationDownError
from penstock.ports import RunStatus


@pytest.fixture
def world() -> WholeWay:
    return WholeWay()


@pytest.mark.parametrize("destination", ["warehouse", "search"])
def test_an_outage_of_hours_costs_nobody_an_attempt_and_ends_by_itself(world: WholeWay, destination: str) -> None:
    world.datasets = {"flights": dataset("flights", index="flights")}
    for number in range(50):
        world.put(f"flights/{number:02}.csv")
    down: Any = world.warehouse if destination == "warehouse" else world.search
    down.fails = DestinationDownError(destination, "connection refused")

    world.pass_time(4 * 60)
    during = list(world.planned)
    breaker = world.leases.breakers()[destination]
    waiting = world.leases.waiting()
    down.fails = None
    world.pass_time(12)

    assert waiting == {}
    assert during[0][1] == 50
    assert {files for _, files in during[1:]} == {1}, "a probe is one file"
    assert len(during) < 30, "the pauses grow"
    assert breaker.failures == len(during)
    assert "connection refused" in breaker.reason
    assert world.left == []
    assert len(world.warehouse.rows(world.datasets["flights"])) == 50
    assert world.leases.breakers() == {}


def test_a_table_that_is_missing_holds_up_its_own_dataset_alone_and_costs_nobody_an_attempt(world: WholeWay) -> None:
    world.datasets = {"flights": dataset("flights"), "planes": dataset("planes")}
    missing = DestinationDownError("warehouse", "relation flights does not exist. Run `penstock apply`", "flights")
    world.warehouse.refused = {"flights": missing}
    for number in range(50):
        world.put(f"flights/{number:02}.csv")
    world.put("planes/a.csv")

    world.pass_time(4 * 60)
    during, waiting, breakers = list(world.planned), world.leases.waiting(), world.leases.breakers()
    world.warehouse.refused = {}
    world.pass_time(12)

    assert waiting == {}
    assert breakers.keys() == {"warehouse/flights"}
    assert "penstock apply" in breakers["warehouse/flights"].reason
    assert during[0][1] == 51
    assert {files for _, files in during[1:]} == {1}
    assert len(world.warehouse.rows(world.datasets["planes"])) == 1
    assert len(world.warehouse.rows(world.datasets["flights"])) == 50
    assert world.left == []
    assert world.leases.breakers() == {}


def test_what_goes_to_another_destination_goes_on_while_one_is_down(world: WholeWay) -> None:
    world.datasets = {
        "flights": dataset("flights"),
        "weather": dataset("weather", table=None, index="weather"),
        "planes": dataset("planes", index="planes"),
    }
    world.search.fails = DestinationDownError("search", "connection refused")
    for name in ("flights", "weather", "planes"):
        world.put(f"{name}/before.csv")
    world.tick()
    for name in ("flights", "weather", "planes"):
        world.put(f"{name}/after.csv", b"id\n2\n")

    world.tick()

    assert not [key for key in world.left if key.startswith("incoming/flights/")]
    assert len(world.left) == 4
    assert world.leases.breakers().keys() == {"search"}


def test_the_probe_is_the_smallest_file_so_that_a_huge_one_does_not_keep_the_breaker_open(world: WholeWay) -> None:
    huge = world.put("flights/huge.csv", b"id\n" + b"1\n" * 1000)
    small = world.put("flights/small.csv")
    world.warehouse.fails = DestinationDownError("warehouse", "the disk is full")
    world.tick()
    world.warehouse.fails = None
    world.clock.advance(MINUTE)

    listing = world.look()

    (plan,) = listing.plans
    assert [arrival.id for arrival in read_plan(world.store, plan).arrivals] == [small.id]
    assert listing.down == {"warehouse"}
    assert world.leases.breakers()["warehouse"].probe == plan
    assert huge.key in world.left


def test_a_run_that_ended_badly_while_a_destination_is_down_counts_no_attempt(world: WholeWay) -> None:
    world.put("flights/a.csv")
    (plan,) = world.look().plans
    world.runs.finish(plan, RunStatus.FAILED)
    world.leases.open_breaker(tripped(None, "warehouse", "another", world.clock.now(), "connection refused"))

    listing = world.look()

    assert listing.plans == ()
    assert world.leases.waiting() == {}
