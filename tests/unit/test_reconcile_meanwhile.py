"""What runs are at work on while a reconcile reads is not judged; what others do meanwhile is looked at once more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from tests.fakes.warehouse import FakeWarehouse
from tests.unit.reconciling import GOOD, World

from penstock.flows.start_backfill import start_backfill
from penstock.model.datasets import Dataset
from penstock.model.plans import Batch
from penstock.model.reconciliation import Kind
from penstock.ports import RunStatus


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("started", [True, False])
def test_what_a_live_run_is_at_work_on_is_not_judged(world: World, started: bool) -> None:
    arrival = world.load("a.csv")
    world.run(arrival, started=started)

    assert world.kinds() == {}
    assert world.reconcile().checked["things"].in_flight == 1


def test_what_a_live_backfill_claims_is_in_flight_and_is_judged_when_that_has_ended(world: World) -> None:
    arrival = world.load("a.csv")
    lease = world.leases.acquire_listing("test", world.clock.now(), timedelta(minutes=1))
    assert lease
    run = start_backfill(world.leases, world.runs, world.clock, lease, [], "incoming/", 100, 10**9, 8)

    claimed = world.kinds()
    world.runs.finish(run)

    assert claimed == {}
    assert arrival.id in world.kinds()


def test_a_run_that_is_over_holds_nothing_though_no_listing_has_seen_it_end(world: World) -> None:
    arrival = world.load("a.csv")
    world.run(arrival)
    world.runs.finish("20260115T100000-000-aaaaaaaa", RunStatus.ABORTED)

    assert world.kinds() == {arrival.id: {Kind.NOT_SETTLED}}


def test_a_run_that_begins_and_ends_while_this_reads_is_not_judged(world: World) -> None:
    arrival = world.store.put("incoming/things/a.csv", GOOD)

    class Meanwhile(FakeWarehouse):
        def ledger(self, dataset: Dataset, after: str = "") -> Iterator[Any]:
            # S3 has been listed by now, and the file was in incoming/: then it is loaded.
            world.run(arrival)
            self.begin(Batch(0, "things", (arrival,)), dataset, world.store)
            world.settle(arrival)
            world.runs.finish("20260115T100000-000-aaaaaaaa")
            world.leases.end_run("20260115T100000-000-aaaaaaaa", RunStatus.SUCCEEDED, world.clock.now())
            return FakeWarehouse.ledger(self, dataset, after)

    assert world.kinds(warehouse=Meanwhile()) == {}
