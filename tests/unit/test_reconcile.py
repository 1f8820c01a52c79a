"""S3 = ledger = rows = documents: where they agree nothing is named, and so much is looked at as was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from tests.fakes.warehouse import FakeWarehouse
from tests.unit.reconciling import BAD, GOOD, World, dataset

from penstock.flows.reconcile import Scope, what_is_read
from penstock.flows.sort_on_disk import Fact, sort_on_disk
from penstock.model.arrivals import FAILED
from penstock.model.datasets import Dataset
from penstock.model.reconciliation import Kind, Reconciliation


@pytest.fixture
def world() -> World:
    return World()


def test_what_was_settled_as_it_should_be_agrees(world: World) -> None:
    world.done("good.csv")
    world.done("bad.csv", BAD)
    world.done("again.csv")
    world.done("again.csv")
    world.store.put("incoming/things/waiting.csv", GOOD)

    report = world.reconcile()

    assert report.disagreements == []
    assert report.to_json()["ok"] is True
    checked = report.checked["things"]
    assert (checked.incoming, checked.processed, checked.failed) == (1, 3, 1)
    assert (checked.rows, checked.documents) == (4, 4)


def test_what_a_later_version_replaced_agrees() -> None:
    world = World(of=dataset(on_overwrite="replace"))
    world.done("a.csv")
    world.done("a.csv", b"id,name\n9,nine\n")

    assert world.kinds() == {}
    assert world.reconcile().checked["things"].rows == 1


def test_rows_that_the_index_refused_and_told_are_no_disagreement(world: World) -> None:
    arrival = world.done("a.csv")
    world.search.delete("things", [f"{arrival.id}-0"])
    assert world.kinds() == {arrival.id: {Kind.DOCUMENTS}}

    world.tell_rejects(arrival, "search", 1)

    assert world.kinds() == {}


def test_rows_from_before_penstock_are_none_of_its_business(world: World) -> None:
    world.done("a.csv")

    class Older(FakeWarehouse):
        def rows_by_arrival(self, dataset: Dataset, part: str = "") -> Iterator[tuple[str, int]]:
            yield from FakeWarehouse.rows_by_arrival(self, dataset, part)
            yield "0" * 32, 7

    there = world.warehouse
    older = Older(_ledger=there._ledger, _decided=there._decided, _tables=there._tables)

    assert world.kinds(warehouse=older) == {}


def test_documents_by_key_may_be_fewer_than_rows_and_never_more() -> None:
    world = World(of=dataset(index={"name": "things", "id_columns": ["id"]}))
    fewer, more = world.done("fewer.csv"), world.done("more.csv")
    world.search.delete("things", [f"{fewer.id}-0"])
    assert world.kinds() == {}

    world.index(more, 3)

    assert world.kinds() == {more.id: {Kind.DOCUMENTS}}


def test_by_key_a_duplicates_documents_are_those_of_the_rows_it_repeats() -> None:
    world = World(of=dataset(index={"name": "things", "id_columns": ["id"]}))
    world.done("a.csv")
    again = world.done("a.csv")

    world.index(again, 2)

    assert world.kinds() == {}


def test_more_rows_than_a_rejects_file_tells_may_have_been_refused(world: World) -> None:
    rows = b"".join(b"%d,x\n" % number for number in range(1500))
    arrival = world.load("a.csv", b"id,name\n" + rows)
    world.search.delete_arrival("things", arrival.id)
    world.settle(arrival)

    world.tell_rejects(arrival, "search", 999)
    assert world.kinds() == {arrival.id: {Kind.DOCUMENTS}}
    world.tell_rejects(arrival, "search", 1000)
    assert world.kinds() == {}


def test_a_dataset_without_a_table_is_compared_with_its_index_alone() -> None:
    world = World(of=dataset(table=None))
    good = world.load("good.csv")
    world.index(good, 2)
    world.settle(good)
    assert world.kinds() == {}

    bad = world.load("bad.csv")
    world.index(bad, 2)
    world.settle(bad, FAILED)

    assert world.kinds() == {bad.id: {Kind.DOCUMENTS}}


def test_what_the_stack_does_not_have_is_not_compared(world: World) -> None:
    arrival = world.done("a.csv")
    world.search.delete("things", [f"{arrival.id}-0"])
    world.warehouse.lose_row(world.of, arrival)

    assert world.kinds(search=None) == {arrival.id: {Kind.ROWS}}
    assert world.kinds(search=None, warehouse=None) == {}


def test_one_dataset_alone() -> None:
    other = dataset("others")
    world = World(others=(other,))
    mine, theirs = world.load("a.csv"), world.load("a.csv", of=other)

    assert world.kinds(scope=Scope("others")) == {theirs.id: {Kind.NOT_SETTLED}}
    assert world.kinds() == {mine.id: {Kind.NOT_SETTLED}, theirs.id: {Kind.NOT_SETTLED}}


def test_datasets_that_share_a_table_are_told_apart_by_the_ledger() -> None:
    other = dataset("others", table="things", index=None)
    world = World(of=dataset(index=None), others=(other,))
    mine, theirs = world.load("a.csv"), world.load("a.csv", of=other)

    assert world.kinds(scope=Scope("others")) == {theirs.id: {Kind.NOT_SETTLED}}
    assert world.reconcile(scope=Scope("others")).checked.keys() == {"others"}
    assert {one.dataset for one in world.reconcile().disagreements} == {"things", "others"}
    assert world.kinds().keys() == {mine.id, theirs.id}


def test_since_judges_what_was_decided_since(world: World) -> None:
    old = world.load("old.csv")
    new = world.load("new.csv")

    assert world.kinds(scope=Scope(since=new.modified)) == {new.id: {Kind.NOT_SETTLED}}
    assert world.kinds(scope=Scope(since=old.modified)).keys() == {old.id, new.id}


def test_the_first_ten_thousand_are_kept_and_all_are_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reconciliation, "MOST", 2)
    for number in range(3):
        world.load(f"{number}.csv")

    report = world.reconcile()

    assert len(report.disagreements) == 2
    assert report.total == 3
    assert report.to_json()["cut"] is True


def test_what_would_be_read_names_every_place(world: World) -> None:
    lines = list(what_is_read("landing", {"things": world.of}, Scope("things", datetime(2026, 1, 1, tzinfo=UTC))))

    text = "\n".join(lines)
    for part in ("s3://landing/incoming/things/", "s3://landing/failed/things/", "public.things", "index things"):
        assert part in text


def test_facts_are_sorted_beyond_what_memory_holds_and_keep_their_order() -> None:
    facts: list[Fact] = [(f"{number % 7}", "kind", [number]) for number in range(100)]

    assert list(sort_on_disk(iter(facts), piece=9)) == sorted(facts, key=lambda fact: fact[0])
    assert list(sort_on_disk(iter(facts), piece=1000)) == sorted(facts, key=lambda fact: fact[0])
    assert list(sort_on_disk(iter([]))) == []


def test_facts_that_were_on_disk_are_judged_alike(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.flows.sort_on_disk.PIECE", 3)
    monkeypatch.setattr("penstock.flows.reconcile.sort_on_disk", lambda facts: sort_on_disk(facts, piece=3))
    arrivals = [world.done(f"{number}.csv") for number in range(5)]
    world.warehouse.lose_row(world.of, arrivals[3])

    assert world.kinds() == {arrivals[3].id: {Kind.ROWS}}
