"""Settling a dataset without a table: the index decides."""

from __future__ import annotations

import pytest
from tests.unit.settling import GOOD, MOST, Settling, dataset, failed

from penstock.model.outcomes import Settlement


@pytest.fixture
def world() -> Settling:
    return Settling()


def test_without_a_table_the_index_decides(world: Settling) -> None:
    world.of = dataset(table=False)
    world.search.refuses = lambda source: "no two" if source["name"] == "two" else ""
    clean, bad, none = (
        world.put("a.csv", b"id,name\n1,one\n"),
        world.put("b.csv", GOOD),
        world.put("c.csv", b"what\n1\n"),
    )

    told = world.run(clean, bad, none)

    assert (told[clean.id].settlement, told[clean.id].documents) == (Settlement.PROCESSED, 1)
    assert (told[bad.id].settlement, told[bad.id].rejects) == (Settlement.FAILED, 1)
    assert "1 of 2 rows" in told[bad.id].reason
    assert told[none.id].settlement is Settlement.FAILED
    assert [document["name"] for document in world.search.documents["things"].values()] == ["one"]


def test_without_a_table_rejects_within_tolerance_are_set_beside(world: Settling) -> None:
    world.of = dataset(table=False, max_reject_ratio=0.5)
    world.search.refuses = lambda source: "no two" if source["name"] == "two" else ""
    arrival = world.put("a.csv", GOOD)

    told = world.run(arrival)[arrival.id]

    assert (told.settlement, told.documents, told.rejects) == (Settlement.PROCESSED, 1, 1)
    assert [one["by"] for one in world.lines(f"failed/things/{arrival.id}-a.csv.rejects.jsonl")] == ["search"]


def test_without_a_table_a_failed_branch_puts_back_and_in_the_end_fails(world: Settling) -> None:
    world.of = dataset(table=False)
    arrival = world.put("a.csv", GOOD)
    ends = []
    for _ in range(MOST):
        plan = world.plan(arrival)
        world.settle(plan, index=failed("down"))
        ends.append(world.settled(plan)[arrival.id].settlement)

    assert ends == [Settlement.PUT_BACK, Settlement.PUT_BACK, Settlement.FAILED]


def test_an_empty_share_of_nothing_is_within_any_tolerance(world: Settling) -> None:
    world.of = dataset(table=False)
    arrival = world.put("a.csv", b"id,name\n")

    assert world.run(arrival)[arrival.id].settlement is Settlement.PROCESSED
