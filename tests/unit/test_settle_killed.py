"""Settling that is killed anywhere and done again ends the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from tests.fakes.crashing import Crash, Crashing
from tests.unit.settling import GOOD, MOST, ONE_BAD_ROW, Refusing, Settling, dataset, failed

from penstock.flows.summarise_run import summarise_run
from penstock.model.arrivals import Arrival
from penstock.model.outcomes import Settlement
from penstock.model.plans import settled_batch_key
from penstock.ports import Move


def given_up() -> tuple[Settling, str, list[Arrival]]:
    """A batch of one whose last attempt is over."""
    world = Settling()
    hopeless = world.put("hopeless.csv", GOOD)
    for _ in range(MOST - 1):
        world.settle(world.plan(hopeless), load=failed())
    return world, world.plan(hopeless), [hopeless]


def mixed() -> tuple[Settling, str, list[Arrival]]:
    """A batch in which every kind of end is: loaded, with rejects, replaced, duplicate, broken, undecided."""
    world = Settling(dataset(max_reject_ratio=0.4, on_overwrite="replace"))
    world.run(world.put("again.csv", GOOD), world.put("new.csv", GOOD))
    undecided, often = world.put("undecided.csv", GOOD), world.put("often.csv", GOOD)
    for _ in range(MOST - 1):
        world.settle(world.plan(often), load=failed())
    decided = [
        world.put("good.csv", GOOD),
        world.put("rejects.csv", ONE_BAD_ROW),
        world.put("broken.csv", b"what is this\n1\n"),
        world.put("again.csv", GOOD),
        world.put("new.csv", b"id,name\n7,seven\n"),
    ]
    world.work(world.plan(*decided), index=False)
    arrivals = [*decided, undecided, often]
    plan = world.plan(*arrivals)
    world.work(plan, load=False)
    return world, plan, arrivals


def state(world: Settling, plan: str) -> dict[str, Any]:
    shown = {key: data for key, data in world.store.everything().items() if "/settling/" not in key}
    return {
        "objects": shown,
        "arrivals": [arrival.id for arrival in world.store.arrivals("incoming/")],
        "waiting": world.leases.waiting(),
        "documents": {id_: document["id"] for id_, document in world.search.documents.get("things", {}).items()},
        "rows": world.warehouse.rows(world.of),
        "settled": world.settled(plan),
    }


def refused() -> tuple[Settling, str, list[Arrival]]:
    """The same, and S3 refuses two of the files' new keys for good."""
    world, plan, arrivals = mixed()
    world.store = Refusing(Refusing(world.store, "good.csv"), "broken.csv.reason.json")  # type: ignore[assignment] # It passes all on.
    return world, plan, arrivals


@pytest.mark.parametrize(
    ("make", "ends", "least"),
    [
        (mixed, set(Settlement), 35),
        (given_up, {Settlement.FAILED}, 15),
        (refused, {Settlement.PROCESSED, Settlement.PUT_BACK}, 35),
    ],
)
def test_settling_that_is_killed_anywhere_and_done_again_ends_the_same(
    make: Callable[[], tuple[Settling, str, list[Arrival]]], ends: set[Settlement], least: int
) -> None:
    undisturbed, plan, _ = make()
    undisturbed.settle(plan, load=failed())
    expected = state(undisturbed, plan)
    assert {one.settlement for one in expected["settled"].values()} == ends

    deaths = 0
    for calls in range(1000):
        for after in (False, True):
            world, plan, _ = make()
            crash = Crashing(calls, after=after)
            ports = {name: crash.through(getattr(world, name)) for name in ("store", "leases", "warehouse", "search")}
            try:
                world.settle(plan, load=failed(), **ports)
            except Crash:
                deaths += 1
                assert not list(world.store.keys(settled_batch_key(plan, 0))) or after
            world.settle(plan, load=failed())
            assert state(world, plan) == expected, f"killed {'after' if after else 'before'} call {calls}"
        if not crash.died:
            break
    assert deaths >= least


class OneByOne:
    """Moves an arrival at a time, as S3 does: it can die between two."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def move(self, moves: Sequence[Move]) -> dict[str, str]:
        return {id_: why for move in moves for id_, why in self._store.move([move]).items()}


def summaries_beside_killed_settlings() -> Iterator[tuple[int, dict[str, Any], str]]:
    """How many of two files were moved when it was killed and given up on, what the run's summary says, and when."""
    for calls in range(1000):
        for after in (False, True):
            world = Settling(dataset(kick_off={"data_pipeline": True}))
            arrivals = world.put("a.csv", GOOD), world.put("b.csv", GOOD)
            plan = world.plan(*arrivals)
            world.work(plan)
            crash = Crashing(calls, after=after)
            with suppress(Crash):
                world.settle(plan, store=OneByOne(crash.through(world.store)), leases=crash.through(world.leases))
            summary = summarise_run(world.store, world.datasets, plan)
            moved = len(arrivals) - len(list(world.store.arrivals("incoming/")))
            yield moved, summary, f"killed {'after' if after else 'before'} call {calls}, {moved} of 2 moved"
        if not crash.died:
            break


def test_a_summary_beside_a_settling_that_was_killed_anywhere_calls_processed_only_what_was_moved() -> None:
    seen = set()
    for moved, summary, when in summaries_beside_killed_settlings():
        if moved < 2:
            assert summary["subject"] == "Penstock: 0 of 2 files processed, 2 UNSETTLED", when
        seen.add((moved, summary["ok"]))

    assert seen == {(0, False), (1, False), (2, False), (2, True)}


def test_nothing_is_kicked_off_beside_a_settling_that_was_killed_before_it_moved_anything() -> None:
    """The next run has all of its files, and kicks off."""
    kicked_off = set()
    for moved, summary, when in summaries_beside_killed_settlings():
        assert moved or not summary["kick_offs"], when
        kicked_off.add(bool(summary["kick_offs"]))

    assert kicked_off == {False, True}
