"""Settling: what was loaded goes to processed/, once, and of the index's documents only what stands for its rows."""

from __future__ import annotations

import pytest
from tests.unit.settling import GOOD, Settling, dataset

from penstock.model.outcomes import Settlement


@pytest.fixture
def world() -> Settling:
    return Settling()


def test_what_was_loaded_and_indexed_goes_to_processed(world: Settling) -> None:
    arrival = world.put("2026/a.csv", GOOD)

    told = world.run(arrival)[arrival.id]

    target = f"processed/things/2026/{arrival.id}-a.csv"
    assert (told.settlement, told.rows, told.documents, told.settled_key) == (Settlement.PROCESSED, 2, 2, target)
    assert world.store.everything("incoming/") == {}
    assert world.store.content(target) == GOOD
    assert world.store.everything("failed/") == {}


def test_the_counts_are_answered(world: Settling) -> None:
    plan = world.plan(world.put("a.csv", GOOD), world.put("b.csv", b""), world.put("c.csv", GOOD + b"3,three\n"))
    world.work(plan)

    assert world.settle(plan) == {"processed": 2, "failed": 1, "put_back": 0}


def test_a_dataset_with_a_table_alone_needs_no_index(world: Settling) -> None:
    world.of = dataset(index=False)
    arrival = world.put("a.csv", GOOD)

    told = world.run(arrival)[arrival.id]

    assert (told.settlement, told.rows, told.documents) == (Settlement.PROCESSED, 2, 0)


def test_a_stack_without_an_index_works_its_tables(world: Settling) -> None:
    world.has_search = False
    arrival = world.put("a.csv", GOOD)

    assert world.run(arrival)[arrival.id].settlement is Settlement.PROCESSED


def test_identical_bytes_put_again_are_a_duplicate_and_leave_no_documents(world: Settling) -> None:
    first = world.put("a.csv", GOOD)
    world.run(first)
    again = world.put("a.csv", GOOD)

    told = world.run(again)[again.id]

    assert (told.settlement, told.duplicate, told.rows, told.documents) == (Settlement.PROCESSED, True, 0, 0)
    assert world.search.count("things", first.id) == 2
    assert world.search.count("things", again.id) == 0


def test_a_duplicate_whose_documents_were_written_before_the_ledger_spoke_leaves_none(world: Settling) -> None:
    world.run(world.put("a.csv", GOOD))
    again = world.put("a.csv", GOOD)
    plan = world.plan(again)
    world.work(plan, load=False)
    world.work(plan, index=False)

    world.settle(plan)

    assert world.search.count("things") == 2
    assert world.search.count("things", again.id) == 0


def test_the_documents_of_a_replaced_arrival_go(world: Settling) -> None:
    world.of = dataset(on_overwrite="replace")
    old = world.put("a.csv", GOOD)
    world.run(old)
    new = world.put("a.csv", b"id,name\n9,nine\n")

    world.run(new)

    assert world.warehouse.rows(world.of) == [("9", "nine")]
    assert world.search.count("things", old.id) == 0
    assert world.search.count("things") == 1
