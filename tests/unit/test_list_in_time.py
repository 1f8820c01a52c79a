"""A listing ends in its function's time, whatever lies in `incoming/` and however often it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.runs import FakeRuns

from penstock.flows.list_incoming import Listing, list_incoming
from penstock.flows.listing_lease import LEASE
from penstock.flows.start_backfill import BackfillLimits
from penstock.flows.start_run import Limits
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.ports import Attempt

_FUNCTION = timedelta(minutes=5)
"""ListIncoming's Timeout."""


def _dataset(name: str) -> Dataset:
    described = {"prefix": f"{name}/", "format": "csv", "columns": [{"name": "id", "type": "integer"}], "table": name}
    return Dataset.model_validate({"name": name, **described, "expect_every": "1h"})


@dataclass
class SlowStore(FakeObjectStore):
    """Each file that is listed takes a tenth of a second, and others ask for a listing while each is under way."""

    clock: FakeClock = field(default_factory=FakeClock)
    leases: FakeLeases = field(default_factory=FakeLeases)
    listed: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def arrivals(self, prefix: str, after: str = "") -> Iterator[Arrival]:
        self.listed += 1
        self.leases.acquire_listing("another", self.clock.now(), LEASE)
        for arrival in list(super().arrivals(prefix, after)):
            self.clock.advance(timedelta(seconds=0.1))
            yield arrival


def _look(store: SlowStore, backfill_from: int = 0) -> Listing:
    datasets = {name: _dataset(name) for name in ("flights", "weather")}
    limits = Limits(100, 10**9, timedelta(hours=6), backfill=BackfillLimits(backfill_from))
    return list_incoming(store, store.leases, FakeRuns(), store.clock, datasets, limits, owner="lister")


def test_a_long_listing_that_is_asked_again_and_again_ends_and_gives_its_lease_back() -> None:
    store = SlowStore()
    for number in range(700):
        store.put(f"incoming/flights/{number}", b"1")
    began = store.clock.now()

    listing = _look(store)

    assert listing.listed
    assert store.listed == 1
    assert store.clock.now() - began < _FUNCTION
    assert store.leases.acquire_listing("next", store.clock.now(), LEASE)


def test_a_short_listing_is_made_again_for_who_asked_meanwhile_but_not_for_ever() -> None:
    store = SlowStore()
    for number in range(200):
        store.put(f"incoming/flights/{number}", b"1")
    began = store.clock.now()

    listing = _look(store)

    assert listing.listed
    assert store.listed == 3
    assert store.clock.now() - began < _FUNCTION


def test_of_more_than_a_listing_can_read_it_works_what_it_has_read() -> None:
    store = SlowStore()
    for number in range(4_000):
        store.put(f"incoming/flights/{number:04d}", b"1")
    behind = store.put("incoming/weather/behind", b"1")
    rests = Attempt(behind.id, 1, store.clock.now() + timedelta(days=1), "busy")
    store.leases.put_back([rests])
    began = store.clock.now()

    listing = _look(store)

    assert listing.cut
    assert len(listing.plans) == 1
    assert 1_000 <= listing.backlog["flights"].files < 4_000
    assert store.clock.now() - began < _FUNCTION
    assert store.leases.waiting() == {behind.id: rests}  # It was not seen, and that says nothing of it.
    assert listing.silent == {}


def test_more_than_a_listing_can_read_starts_a_backfill() -> None:
    store = SlowStore()
    for number in range(4_000):
        store.put(f"incoming/flights/{number:04d}", b"1")
    store.clock.advance(timedelta(seconds=1))

    _look(store, backfill_from=500)

    (run,) = store.leases.live_runs()
    assert run.claim is not None
    assert run.claim.prefix == "incoming/"
