"""Two listings at once, and one that is killed anywhere: nothing is stuck, and nothing is planned twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.fakes.crashing import Crash, Crashing
from tests.fakes.object_store import FakeObjectStore
from tests.unit.listing import Lister

from penstock.flows.list_incoming import Listing
from penstock.flows.listing_lease import LEASE
from penstock.model.arrivals import Arrival
from penstock.model.errors import TransientError
from penstock.ports import RunStatus


@pytest.fixture
def world() -> Lister:
    return Lister()


class Interrupted(FakeObjectStore):
    """Something happens while the listing is under way, once: after the first file."""

    happens: Any = None

    def arrivals(self, prefix: str, after: str = "") -> Iterator[Arrival]:
        for arrival in list(super().arrivals(prefix, after)):
            yield arrival
            event, self.happens = self.happens, None
            if event:
                event()


def test_a_second_listing_leaves_it_to_the_first_which_lists_once_more(world: Lister) -> None:
    world.store = store = Interrupted()
    store.put("incoming/flights/b", b"1")
    others: list[Listing] = []

    def event() -> None:
        store.put("incoming/flights/a", b"1")  # Its place in the listing has gone by.
        others.append(world.look("second"))

    store.happens = event
    listing = world.look("first")

    assert [other.listed for other in others] == [False]
    assert len(listing.plans) == 2
    assert listing.backlog["flights"].files == 2
    assert len(world.leased()) == 2


def test_a_listing_that_was_overtaken_starts_nothing(world: Lister) -> None:
    world.store = store = Interrupted()
    arrival = store.put("incoming/flights/a", b"1")
    overtaking: list[Listing] = []

    def event() -> None:
        world.clock.advance(LEASE)
        overtaking.append(world.look("second"))

    store.happens = event
    with pytest.raises(TransientError):
        world.look("first")

    assert len(overtaking[0].plans) == 1
    assert world.leased() == [arrival.id]
    assert len(world.runs.started) == 1


def test_a_long_listing_prolongs_its_lease(world: Lister) -> None:
    class Slow(FakeObjectStore):
        def arrivals(self, prefix: str, after: str = "") -> Iterator[Arrival]:
            for number in range(5000):
                if number % 1000 == 0:
                    world.clock.advance(LEASE * 0.4)
                yield self.put(f"elsewhere/{number}", b"")

    listing = world.look(store=Slow())

    assert listing.listed


def test_a_listing_that_is_killed_anywhere_leaves_nothing_stuck_or_twice() -> None:
    died = 0
    for calls in range(200):
        for after in (False, True):
            world = Lister()
            arrivals = [world.store.put(f"incoming/flights/{number}", b"1") for number in range(12)]
            ended = world.look("before").plans[0]
            world.runs.finish(ended)
            arrivals.append(world.store.put("incoming/weather/late", b"1"))
            crash = Crashing(calls, after=after)
            try:
                world.look(
                    "dies", **{name: crash.through(getattr(world, name)) for name in ("store", "leases", "runs")}
                )
            except Crash:
                died += 1

            world.clock.advance(LEASE)
            world.look("heir")

            assert sorted(world.leased()) == sorted(one.id for one in arrivals)
            assert {world.runs.status(run.execution) for run in world.leases.live_runs()} == {RunStatus.RUNNING}
        if not crash.died:
            break
    assert died > 15
