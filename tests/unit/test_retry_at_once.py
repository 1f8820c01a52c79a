"""A retry beside the lister, beside another retry, and beside other versions of its keys."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.operating import GOOD, HALF_BAD, Operator, dataset

from penstock.flows.listing_lease import LEASE
from penstock.flows.start_run import Limits
from penstock.model.errors import TransientError


@pytest.fixture
def world() -> Operator:
    return Operator()


def test_a_retry_waits_for_a_listing_and_tells_it_to_list_again(world: Operator) -> None:
    world.fail()
    held = world.leases.acquire_listing("the lister", world.clock.now(), LEASE)

    with pytest.raises(TransientError, match="listing"):
        world.retry()

    assert held
    assert world.leases.release_listing(held)


def test_a_second_retry_leaves_to_the_first_what_it_works(world: Operator) -> None:
    world.fail()
    world.tolerate()
    first, second = world.retry(), world.retry()
    world.work()

    assert first.run
    assert second.run == ""
    assert "at work" in next(iter(second.passed_over.values()))
    assert len(world.rows) == 1


def test_a_version_that_arrives_meanwhile_waits_until_the_retry_has_ended(world: Operator) -> None:
    world.fail()
    world.datasets["things"] = dataset(max_reject_ratio=0.5, on_overwrite="replace")
    world.retry()
    world.put("2026/a.csv", GOOD)

    world.look()
    during = len(world.runs.started)
    world.work()
    world.ingest()

    assert during == 2  # The first ingest and the retry.
    assert world.rows == [("1", "one"), ("2", "two")]


def test_a_file_is_passed_over_while_a_version_of_its_key_is_at_work(world: Operator) -> None:
    world.fail()
    world.tolerate()
    world.put("2026/a.csv", GOOD)
    world.look()

    assert "at work" in next(iter(world.retry().passed_over.values()))


def test_an_older_version_does_not_take_the_place_of_a_later_one(world: Operator) -> None:
    failed = world.fail()
    world.datasets["things"] = dataset(max_reject_ratio=0.5, on_overwrite="replace")
    world.put("2026/a.csv", GOOD)
    world.ingest()

    world.retry()
    world.work()

    assert world.rows == [("1", "one"), ("2", "two")]
    assert "later version" in world.reason(failed)["reason"]


def test_versions_of_one_key_take_turns(world: Operator) -> None:
    first, second = [world.put("a.csv", HALF_BAD + b"%d,\n" % number) for number in range(2)]
    for _ in range(2):
        world.ingest()

    turns = []
    for _ in range(2):
        retry = world.retry()
        turns += [one.arrival.id for one in retry.files]
        assert len(retry.passed_over) == 1
        world.work()

    assert turns == [first.id, second.id]


def test_the_limits_hold_for_a_retry_too(world: Operator) -> None:
    for number in range(3):
        world.put(f"{number}.csv", HALF_BAD)
    world.ingest()
    world.limits = Limits(2, 10**9, timedelta(hours=1))

    retry = world.retry()

    assert (len(retry.files), len(retry.passed_over)) == (2, 1)
