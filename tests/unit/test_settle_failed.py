"""Settling: what goes to failed/, and what is told beside it."""

from __future__ import annotations

import gzip

import pytest
from tests.unit.settling import GOOD, ONE_BAD_ROW, Settling, dataset

from penstock.model.arrivals import UNCLAIMED
from penstock.model.outcomes import Settlement


@pytest.fixture
def world() -> Settling:
    return Settling()


def test_rejects_within_tolerance_are_set_beside_and_have_no_document(world: Settling) -> None:
    world.of = dataset(max_reject_ratio=0.5)
    arrival = world.put("a.csv", ONE_BAD_ROW)

    told = world.run(arrival)[arrival.id]

    (reject,) = world.lines(f"failed/things/{arrival.id}-a.csv.rejects.jsonl")
    assert (told.settlement, told.rows, told.rejects, told.documents) == (Settlement.PROCESSED, 3, 1, 3)
    assert (reject["file"], reject["line"], reject["column"], reject["by"]) == (arrival.key, 3, "id", "warehouse")
    assert reject["raw"].startswith("x,two")
    assert {document["name"] for document in world.search.documents["things"].values()} == {"one", "three", "four"}
    assert world.store.everything("processed/")


def test_rows_that_only_the_index_refused_are_named_after_the_warehouses(world: Settling) -> None:
    world.of = dataset(max_reject_ratio=0.5)
    world.search.refuses = lambda source: "no three" if source["name"] == "three" else ""
    arrival = world.put("a.csv", ONE_BAD_ROW)

    told = world.run(arrival)[arrival.id]

    by = [(reject["by"], reject["line"]) for reject in world.lines(f"failed/things/{arrival.id}-a.csv.rejects.jsonl")]
    assert by == [("warehouse", 3), ("search", 4)]
    assert (told.rows, told.rejects, told.documents) == (3, 1, 2)


def test_a_quarantined_file_goes_to_failed_with_its_rejects_and_its_reason(world: Settling) -> None:
    arrival, neighbour = world.put("a.csv", ONE_BAD_ROW), world.put("b.csv", GOOD)

    told = world.run(arrival, neighbour)

    target = f"failed/things/{arrival.id}-a.csv"
    reason = world.store.get_json(f"{target}.reason.json")
    assert told[arrival.id].settlement is Settlement.FAILED
    assert told[neighbour.id].settlement is Settlement.PROCESSED
    assert world.store.content(target) == ONE_BAD_ROW
    assert (reason["key"], reason["arrival"], reason["reason"]) == (arrival.key, arrival.id, told[arrival.id].reason)
    assert "1 of 4 rows" in reason["reason"]
    assert len(world.lines(f"{target}.rejects.jsonl")) == 1
    assert world.search.count("things", arrival.id) == 0
    assert world.search.count("things", neighbour.id) == 2


def test_a_file_that_is_none_goes_to_failed(world: Settling) -> None:
    arrival = world.put("a.csv.gz", gzip.compress(GOOD)[:-9])

    told = world.run(arrival)[arrival.id]

    assert told.settlement is Settlement.FAILED
    assert told.reason
    assert not world.store.everything(f"failed/things/{arrival.id}-a.csv.gz.rejects.jsonl")


def test_a_key_that_nobody_claims_fails_and_says_which_prefixes_exist(world: Settling) -> None:
    arrival = world.store.put("incoming/thing/a.csv", GOOD)
    plan = world.plan(arrival, name=UNCLAIMED)

    world.settle(plan)

    told = world.settled(plan)[arrival.id]
    assert (told.settlement, told.settled_key) == (Settlement.FAILED, f"failed/_unclaimed/thing/{arrival.id}-a.csv")
    assert "incoming/things/" in told.reason
    assert arrival.key in told.reason
    assert world.store.get_json(f"{told.settled_key}.reason.json")["reason"] == told.reason
