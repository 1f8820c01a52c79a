"""What seems to disagree, as somebody wrote while a reconcile read, is looked at once more; what still does is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.rebuild import FakeRebuild
from tests.fakes.warehouse import FakeWarehouse
from tests.unit.reconciling import GOOD, World, dataset, replay_and_swap
from tests.unit.test_reconcile_in_parts import completed, kinds, read_to, rounds

from penstock.flows.reconcile_round import Round
from penstock.model.datasets import Dataset
from penstock.model.reconciliation import Kind, Reconciliation

TWO_ROWS = b"id,name\n1,one\nx,two\n"


class Disturbed(FakeWarehouse):
    """Each time its rows are counted, the ledger having been read, the next of these happens before that."""

    def __init__(self) -> None:
        super().__init__()
        self.happens: list[Callable[[], object]] = []
        self.counted = 0

    def row_parts(self, dataset: Dataset, after: str = "") -> Iterator[str]:
        self.counted += not after
        if self.happens:
            self.happens.pop(0)()
        return super().row_parts(dataset, after)


def disturbed(**changes: Any) -> tuple[World, Disturbed]:
    warehouse = Disturbed()
    return World(of=dataset(**changes), warehouse=warehouse), warehouse


TOLERANT: dict[str, Any] = {"index": None, "max_reject_ratio": 0.5}
ANEW = [{"name": "id", "type": "text"}, {"name": "name", "type": "text"}]


def swapped_meanwhile() -> tuple[World, Disturbed, str]:
    """A stack whose table will have other rows of three files, and lacks one of a fourth; which that is."""
    world, warehouse = disturbed(**TOLERANT)
    for number in range(3):
        world.done(f"{number}.csv", TWO_ROWS)
    lost = world.done("lost.csv")

    def happens() -> None:
        replay_and_swap(world, FakeRebuild(warehouse), dataset(**TOLERANT, columns=ANEW))
        warehouse.lose_row(world.of, lost)

    warehouse.happens = [happens]
    return world, warehouse, lost.id


def test_a_table_that_a_replay_swaps_between_ledger_and_rows_is_judged_by_its_new_ledger() -> None:
    world, warehouse, lost = swapped_meanwhile()

    found = world.reconcile()

    assert kinds(found) == {lost: {Kind.ROWS}}
    assert (found.total, warehouse.counted) == (1, 2)


@pytest.mark.parametrize("facts", [1, 3, 1000])
def test_in_parts_as_well(facts: int) -> None:
    world, warehouse, lost = swapped_meanwhile()

    report, _ = completed(world, facts)

    assert kinds(report) == {lost: {Kind.ROWS}}
    assert (report.total, warehouse.counted >= 2) == (1, True)


def test_what_is_mended_between_two_calls_is_not_told_and_what_is_not_stays() -> None:
    world = World()
    mended, lost = world.done("mended.csv"), world.done("lost.csv")
    for arrival in (mended, lost):
        world.search.delete("things", [f"{arrival.id}-0"])
    found = read_to(world, "documents")
    while len(found.looks) == 1:
        found = a_call(world)

    world.index(mended, 2)

    report, _ = completed(world, 1, begins=False)
    assert (kinds(report), report.total) == ({lost.id: {Kind.DOCUMENTS}}, 1)


def test_rows_of_nobody_that_are_deleted_meanwhile_are_not_told() -> None:
    world, warehouse = disturbed()
    world.done("a.csv")
    warehouse.add_rows(world.of, FakeObjectStore("elsewhere").put("a.csv", GOOD))
    warehouse.happens = [lambda: None, lambda: warehouse._tables["public.things"].pop()]

    assert (world.kinds(), warehouse.counted) == ({}, 2)


def test_what_is_told_is_what_the_second_look_saw() -> None:
    world, warehouse = disturbed()
    arrival = world.done("a.csv")
    warehouse.happens = [lambda: warehouse.lose_row(world.of, arrival)] * 2

    [found] = world.reconcile().disagreements

    assert "2 rows, and public.things has 0" in found.what


def test_what_a_run_takes_up_before_the_second_look_is_in_flight_in_that() -> None:
    world, warehouse = disturbed()
    arrival = world.done("a.csv")
    warehouse.lose_row(world.of, arrival)
    warehouse.happens = [lambda: None, lambda: world.run(arrival)]

    assert world.kinds() == {}


def test_what_s3_alone_tells_is_not_worth_a_second_count() -> None:
    world, warehouse = disturbed()
    world.done("a.csv")
    world.store.delete(next(world.store.keys("processed/")))

    assert {kind for found in world.kinds().values() for kind in found} == {Kind.NOWHERE}
    assert warehouse.counted == 1


def test_only_the_tables_are_counted_again_whose_files_seem_to_disagree() -> None:
    world, warehouse = disturbed()
    world.others = (dataset("others"),)
    warehouse.lose_row(world.of, world.done("a.csv"))

    assert len(world.kinds()) == 1
    assert warehouse.counted == 3


@pytest.mark.parametrize(("mended", "told"), [(0, 4), (1, 3), (2, 0)])
def test_more_than_can_be_looked_at_again_stand_unless_none_is_confirmed(
    monkeypatch: pytest.MonkeyPatch, mended: int, told: int
) -> None:
    monkeypatch.setattr(Reconciliation, "MOST", 2)
    world, warehouse = disturbed(index=None)
    arrivals = sorted((world.done(f"{number}.csv") for number in range(4)), key=lambda one: one.id)
    for arrival in arrivals:
        warehouse.add_rows(world.of, arrival)

    def mend() -> None:
        wrong = {one.id for one in arrivals[:mended]}
        rows = warehouse._tables["public.things"]
        rows[:] = [one for one in rows if one.arrival.id not in wrong or len(one.rows) == 2]

    warehouse.happens = [lambda: None, mend]

    assert world.reconcile().total == told


def a_call(world: World) -> Round:
    found = rounds(world, 1).go_on("call", begins=False)
    assert found
    return found
