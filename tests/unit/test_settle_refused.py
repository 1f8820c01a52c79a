"""Settling, and S3 refuses a key for good: that file waits alone, and holds up no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.settling import GOOD, HALF, MOST, ONE_BAD_ROW, Refusing, Settling, dataset

from penstock.model.arrivals import UNCLAIMED, Location
from penstock.model.outcomes import Settlement


@pytest.fixture
def world() -> Settling:
    return Settling()


@pytest.mark.parametrize("ending", ["bad.csv", "bad.csv.rejects.jsonl", "bad.csv.reason.json"])
def test_a_file_that_can_not_be_written_for_is_put_back_alone_and_told(world: Settling, ending: str) -> None:
    bad, good, other = world.put("bad.csv", ONE_BAD_ROW), world.put("good.csv", GOOD), world.put("other.csv", b"")
    plan = world.plan(bad, good, other)
    world.work(plan)

    counts = world.settle(plan, store=Refusing(world.store, ending))
    waiting, told = world.leases.waiting(), world.settled(plan)[bad.id]
    later = world.run(bad)[bad.id]

    assert counts == {"processed": 1, "failed": 1, "put_back": 1}
    assert [(one.arrival, one.attempts, one.run) for one in waiting.values()] == [(bad.id, 1, plan)]
    assert bad.key in told.reason == waiting[bad.id].reason
    assert f"{bad.id}-{ending}: AccessDenied" in told.reason
    assert (later.settlement, later.rejects) == (Settlement.FAILED, 1)
    assert world.leases.waiting() == {}
    assert world.store.everything("incoming/") == {}


def test_one_that_nobody_claims_and_that_can_not_be_written_for_is_put_back_alone(world: Settling) -> None:
    bad, other = world.store.put("incoming/bad.csv", GOOD), world.store.put("incoming/other.csv", GOOD)
    plan = world.plan(bad, other, name=UNCLAIMED)

    counts = world.settle(plan, store=Refusing(world.store, "bad.csv.reason.json"))

    assert counts == {"processed": 0, "failed": 1, "put_back": 1}
    assert "AccessDenied" in world.leases.waiting()[bad.id].reason


def test_one_that_stays_refused_is_tried_each_hour_counted_and_never_given_up(world: Settling) -> None:
    arrival = world.put("a.csv", GOOD)
    attempts, waits = [], []
    for _ in range(MOST + 2):
        plan = world.plan(arrival)
        world.work(plan)
        world.settle(plan, store=Refusing(world.store, "a.csv"))
        world.settle(plan, store=Refusing(world.store, "a.csv"))  # Done twice it is one attempt.
        waiting = world.leases.waiting()[arrival.id]
        attempts.append(waiting.attempts)
        waits.append((waiting.not_before - world.clock.now()) // timedelta(minutes=1))
    healed = world.run(arrival)[arrival.id]

    assert attempts == [1, 2, 3, 4, 5]
    assert waits == [0, 1, 60, 60, 60]
    assert (healed.settlement, healed.rows) == (Settlement.PROCESSED, 2)
    assert len(world.warehouse.rows(world.of)) == 2


@pytest.mark.parametrize("ending", ["a.csv", "a.csv.reason.json"])
def test_a_retried_one_that_is_refused_stays_where_it_lies(world: Settling, ending: str) -> None:
    arrival = world.put("a.csv", HALF)
    failed_key = world.run(arrival)[arrival.id].settled_key
    world.of = dataset(max_reject_ratio=0.5)
    (version,) = [one.version_id for one in world.store.arrivals(failed_key) if one.key == failed_key]
    retried = replace(arrival, location=Location(failed_key, (version,)), retry=1)
    plan = world.plan(retried)
    world.work(plan)

    world.settle(plan, store=Refusing(world.store, ending))

    told = world.settled(plan)[arrival.id]
    assert (told.settlement, told.settled_key) == (Settlement.FAILED, failed_key)
    assert "AccessDenied" in told.reason
    assert world.leases.waiting() == {}
    assert world.store.content(failed_key) == HALF
