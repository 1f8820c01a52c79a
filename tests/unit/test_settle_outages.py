"""Settling while a destination is down: its breaker opens, and nobody's attempts are used up."""

from __future__ import annotations

import pytest
from tests.unit.settling import GOOD, MOST, Settling, dataset, failed

from penstock.model.breakers import tripped
from penstock.model.errors import DestinationDownError, TransientError
from penstock.model.outcomes import Settlement


@pytest.fixture
def world() -> Settling:
    return Settling()


def test_a_warehouse_that_is_down_opens_its_breaker_and_uses_up_nobodys_attempts(world: Settling) -> None:
    tried, fresh = world.put("a.csv", GOOD), world.put("b.csv", GOOD)
    world.settle(world.plan(tried), load=failed())
    plan = world.plan(tried, fresh)
    world.warehouse.fails = DestinationDownError("warehouse", "connection refused")

    counts = world.settle(plan, load=failed())

    (breaker,) = world.leases.breakers().values()
    assert counts == {"processed": 0, "failed": 0, "put_back": 2}
    assert (breaker.destination, breaker.opened, breaker.failures) == ("warehouse", world.clock.now(), 1)
    assert "connection refused" in breaker.reason
    assert {id_: attempt.attempts for id_, attempt in world.leases.waiting().items()} == {tried.id: 1}
    assert world.store.content(tried.key) == GOOD


@pytest.mark.parametrize("branch", ["load", "index"])
@pytest.mark.parametrize("destination", ["warehouse", "search"])
def test_a_branch_that_found_its_destination_down_counts_no_attempt_though_that_is_back_again(
    world: Settling, branch: str, destination: str
) -> None:
    arrival = world.put("a.csv", GOOD)
    plan = world.plan(arrival)
    world.work(plan, index=False)

    world.settle(plan, **{branch: failed(str(DestinationDownError(destination, "it refuses connections")))})

    assert world.settled(plan)[arrival.id].settlement is Settlement.PUT_BACK
    assert world.leases.waiting() == {}
    assert world.leases.breakers().keys() == {destination}


@pytest.mark.parametrize("how", [DestinationDownError("search", "503"), TransientError("did not answer in time")])
def test_an_index_that_does_not_answer_when_its_branch_has_failed_is_down(world: Settling, how: TransientError) -> None:
    arrival = world.put("a.csv", GOOD)
    plan = world.plan(arrival)
    world.work(plan, index=False)
    world.search.fails = how

    world.settle(plan, index=failed("did not answer in time"))

    assert world.leases.waiting() == {}
    assert world.leases.breakers().keys() == {"search"}


def test_a_batch_that_its_destinations_answered_closes_their_breakers(world: Settling) -> None:
    for destination in ("warehouse", "search"):
        world.leases.open_breaker(tripped(None, destination, "another", world.clock.now(), "refused"))

    world.run(world.put("a.csv", GOOD))

    assert world.leases.breakers() == {}


def test_a_batch_that_does_not_go_there_leaves_a_breaker_open(world: Settling) -> None:
    world.of = dataset(index=False)
    world.leases.open_breaker(tripped(None, "search", "another", world.clock.now(), "refused"))

    world.run(world.put("a.csv", GOOD))

    assert world.leases.breakers().keys() == {"search"}


@pytest.mark.parametrize(
    "error", ["Lambda.TooManyRequestsException", "Lambda.ServiceException", "ECS.AmazonECSException"]
)
@pytest.mark.parametrize(("branch", "part"), [("load", "warehouse/things"), ("index", "search/things")])
def test_where_aws_starts_no_worker_there_is_no_way_to_the_destination_and_no_attempt_is_counted(
    world: Settling, error: str, branch: str, part: str
) -> None:
    arrival = world.put("a.csv", GOOD)

    for _ in range(MOST + 1):
        plan = world.plan(arrival)
        world.work(plan, load=branch != "load", index=False)
        world.settle(plan, **{branch: {"status": "failed", "error": error, "cause": "Rate Exceeded."}})

    (breaker,) = world.leases.breakers().values()
    assert world.settled(plan)[arrival.id].settlement is Settlement.PUT_BACK
    assert world.leases.waiting() == {}
    assert breaker.destination == part
    assert f"({error}: Rate Exceeded.)" in breaker.reason


def test_what_a_dataset_does_not_go_to_needs_no_worker(world: Settling) -> None:
    world.of = dataset(table=False)
    arrival = world.put("a.csv", GOOD)
    plan = world.plan(arrival)
    world.work(plan, load=False)

    world.settle(plan, load={"status": "failed", "error": "Lambda.TooManyRequestsException", "cause": "Rate Exceeded."})

    assert world.settled(plan)[arrival.id].settlement is Settlement.PROCESSED
