"""A listing ends in its function's time, whatever lies in `incoming/` and however often it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.fakes.object_store import FakeObjectStore
from tests.unit.listing import RUN, Lister, dataset

from penstock.flows.listing_lease import LEASE
from penstock.flows.start_backfill import BackfillLimits
from penstock.flows.start_run import Limits
from penstock.model.arrivals import Arrival
from penstock.ports import Attempt, RunStatus

_FUNCTION = timedelta(minutes=5)
"""ListIncoming's Timeout."""


class SlowStore(FakeObjectStore):
    """Each file that is listed takes a tenth of a second, and others ask for a listing while each is under way."""

    def __init__(self, world: Lister) -> None:
        super().__init__()
        self.world = world
        self.listed = 0

    def arrivals(self, prefix: str, after: str = "") -> Iterator[Arrival]:
        self.listed += 1
        self.world.leases.acquire_listing("another", self.world.clock.now(), LEASE)
        for arrival in list(super().arrivals(prefix, after)):
            self.world.clock.advance(timedelta(seconds=0.1))
            yield arrival


@pytest.fixture
def world() -> Lister:
    return Lister({name: dataset(name, expect_every="1h") for name in ("flights", "weather")})


@pytest.fixture
def store(world: Lister) -> SlowStore:
    world.store = store = SlowStore(world)
    return store


@pytest.mark.parametrize(("files", "listings"), [(200, 3), (700, 1)])
def test_one_that_is_asked_again_and_again_ends_and_gives_its_lease_back(
    world: Lister, store: SlowStore, files: int, listings: int
) -> None:
    for number in range(files):
        store.put(f"incoming/flights/{number}", b"1")
    began = world.clock.now()

    listing = world.look()

    assert listing.listed
    assert store.listed == listings
    assert world.clock.now() - began < _FUNCTION
    assert world.leases.acquire_listing("next", world.clock.now(), LEASE)


def test_of_more_than_a_listing_can_read_it_works_what_it_has_read(world: Lister, store: SlowStore) -> None:
    for number in range(4_000):
        store.put(f"incoming/flights/{number:04d}", b"1")
    behind = store.put("incoming/weather/behind", b"1")
    rests = Attempt(behind.id, 1, world.clock.now() + timedelta(days=1), "busy")
    world.leases.put_back([rests])
    began = world.clock.now()

    listing = world.look()

    assert listing.cut
    assert len(listing.plans) == 1
    assert 1_000 <= listing.backlog["flights"].files < 4_000
    assert world.clock.now() - began < _FUNCTION
    assert world.leases.waiting() == {behind.id: rests}  # It was not seen, and that says nothing of it.
    assert listing.silent == {}


def test_a_run_that_died_was_an_attempt_on_files_that_a_listing_does_not_come_to(
    world: Lister, store: SlowStore
) -> None:
    store.put("incoming/weather/behind", b"1")
    (died,) = world.look().plans
    for number in range(4_000):
        store.put(f"incoming/flights/{number:04d}", b"1")
    world.runs.finish(died, RunStatus.ABORTED)

    listing = world.look()

    assert listing.cut
    assert [(one.attempts, one.run) for one in world.leases.waiting().values()] == [(1, died)]


def test_more_than_a_listing_can_read_starts_a_backfill(world: Lister, store: SlowStore) -> None:
    world.limits = Limits(100, 10**9, RUN, backfill=BackfillLimits(from_files=500))
    for number in range(4_000):
        store.put(f"incoming/flights/{number:04d}", b"1")
    world.clock.advance(timedelta(seconds=1))

    world.look()

    (run,) = world.leases.live_runs()
    assert run.claim is not None
    assert run.claim.prefix == "incoming/"
