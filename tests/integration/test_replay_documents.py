"""Documents are written anew from `processed/`: through the flows, on the embedded index over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.search_server import embedded_search
from tests.fakes.warehouse import FakeWarehouse

from penstock.adapters.opensearch import OpenSearchIndex
from penstock.adapters.opensearch_client import make_client
from penstock.flows.index_batch import Indexing
from penstock.flows.replay_dataset import Window, replayed
from penstock.flows.replay_documents import Foreseen, Written, foresee, indexed_dataset, write_again
from penstock.model.arrivals import FAILED, PROCESSED, Arrival, settled_key
from penstock.model.datasets import Dataset
from penstock.model.documents import Document
from penstock.model.errors import PermanentError
from penstock.model.plans import Batch, Plan, plan_key
from penstock.ports import Move, RunRecord


def dataset_of(**changes: Any) -> Dataset:
    columns = [{"name": "k", "type": "text", "required": True}, {"name": "v", "type": "integer"}]
    plain = {"name": "t", "prefix": "t/", "format": "csv", "columns": columns, "table": "t", "index": "t"}
    return Dataset.model_validate({**plain, "max_reject_ratio": 0.5, **changes})


@dataclass
class World:
    search: OpenSearchIndex
    dataset: Dataset = field(default_factory=dataset_of)
    store: FakeObjectStore = field(default_factory=FakeObjectStore)
    warehouse: FakeWarehouse = field(default_factory=FakeWarehouse)
    leases: FakeLeases = field(default_factory=FakeLeases)
    clock: FakeClock = field(default_factory=FakeClock)

    def ingest(self, name: str, content: bytes, root: str = PROCESSED, *, index: bool = True) -> Arrival:
        """As a run does: loaded, indexed and moved."""
        self.search.apply(self.dataset)
        arrival = self.store.put(f"incoming/t/{name}", content)
        if self.dataset.table:
            self.warehouse.begin(Batch(0, "t", (arrival,)), self.dataset, self.store)
        if index:
            Indexing(self.dataset, "t", self.store, self.search, self.clock.now()).index(arrival)
        self.store.move([Move(arrival, settled_key(root, "t", "t/", arrival))])
        return arrival

    def foresee(self, window: Window = Window()) -> Foreseen:  # noqa: B008 - it is frozen
        warehouse = self.warehouse if self.dataset.table else None
        processed = replayed(self.store, (), self.dataset, Window())
        return foresee(self.store, self.leases, warehouse, self.search, self.dataset, processed, window)

    def replay(self, window: Window = Window()) -> Written:  # noqa: B008 - it is frozen
        self.clock.advance(timedelta(hours=1))
        warehouse = self.warehouse if self.dataset.table else None
        foreseen = self.foresee(window)
        return write_again(self.store, warehouse, self.search, self.clock, self.dataset, foreseen)

    def documents(self) -> list[tuple[Any, Any, str]]:
        self.search.count("t")
        sources = [hit["_source"] for hit in self.search.search("t", "", 1000)]
        return sorted((one["k"], one["v"], one["penstock_arrival"]) for one in sources)


@pytest.fixture
def world() -> Iterator[World]:
    with embedded_search() as (url, _), make_client(url, "none") as client:
        yield World(OpenSearchIndex(client))


def alien(arrival: str, id_: str) -> Document:
    source = {"k": "alien", "v": 0, "penstock_arrival": arrival, "penstock_loaded_at": "2020-01-01T00:00:00+00:00"}
    return Document(id_, json.dumps(source).encode(), 1)


def test_an_index_that_was_lost_is_written_anew(world: World) -> None:
    a = world.ingest("a.csv", b"k,v\nx,1\ny,2\nz,no number\n", index=False)
    b = world.ingest("b.csv", b"k,v\nx,3\n", index=False)

    done = world.replay()

    assert world.documents() == [("x", 1, a.id), ("x", 3, b.id), ("y", 2, a.id)]
    assert (done.files, done.documents, done.rejected, done.refused, done.differences) == (2, 3, 1, {}, {})


def test_written_twice_it_is_the_same(world: World) -> None:
    world.ingest("a.csv", b"k,v\nx,1\ny,2\n")
    before = world.documents()

    first, second = world.replay(), world.replay()

    assert world.documents() == before
    assert first == second


def test_documents_of_what_is_not_loaded_go_and_what_nobody_knows_stays(world: World) -> None:
    loaded = world.ingest("a.csv", b"k,v\nx,1\n")
    refused = world.ingest("bad.csv", b"k,v\nx,no\ny,no\n", FAILED, index=False)
    world.search.write("t", [alien(refused.id, "1"), alien("f" * 32, "2")])

    foreseen, done = world.foresee(), world.replay()

    assert foreseen.to_json() == {"files": 1, "documents_to_remove": 1, "documents_of_unknown_arrivals": 1}
    assert world.documents() == [("alien", 0, "f" * 32), ("x", 1, loaded.id)]
    assert not done.differences


def test_what_an_earlier_definition_left_under_an_arrival_goes(world: World) -> None:
    arrival = world.ingest("a.csv", b"k,v\nx,1\n")
    world.search.write("t", [alien(arrival.id, "of an earlier definition")])

    world.replay()

    assert world.documents() == [("x", 1, arrival.id)]


def test_without_a_table_the_documents_of_a_file_that_failed_go(world: World) -> None:
    world.dataset = dataset_of(table=None)
    world.ingest("bad.csv", b"k,v\nx,1\n", FAILED)
    world.ingest("good.csv", b"k,v\ny,1\n")

    world.replay()

    assert [k for k, _, _ in world.documents()] == ["y"]


def test_without_a_table_what_was_mended_and_has_expired_since_keeps_its_documents(world: World) -> None:
    world.dataset = dataset_of(table=None)
    mended = world.ingest("mended.csv", b"k,v\ny,1\n")
    world.store.put_json(f"{settled_key(FAILED, 't', 't/', mended)}.reason.json", {"settled": "processed/…"})
    world.store.delete(settled_key(PROCESSED, "t", "t/", mended))

    foreseen = world.foresee()

    assert (foreseen.doomed, foreseen.unknown) == ({}, {mended.id: 1})


def test_without_a_table_a_file_that_is_being_retried_keeps_the_documents_that_it_gets(world: World) -> None:
    world.dataset = dataset_of(table=None)
    failed = world.ingest("bad.csv", b"k,v\nx,1\n", FAILED)
    now, backstop = world.clock.now(), timedelta(hours=1)
    world.store.put_json(plan_key("p"), Plan("p", now, (Batch(0, "t", (failed,)),)).to_json())
    listing = world.leases.acquire_listing("a retry", now, backstop)
    assert listing
    world.leases.record_run(listing, RunRecord("p", "arn:p", now, now + backstop, 1, 1, 8, {"t": 1}))

    foreseen = world.foresee()

    assert (foreseen.doomed, foreseen.unknown) == ({}, {})


def test_by_key_the_file_that_came_last_is_left_whatever_the_index_held(world: World) -> None:
    world.dataset = dataset_of(index={"name": "t", "id_columns": ["k"]})
    world.ingest("a.csv", b"k,v\nx,1\ny,1\n", index=False)
    b = world.ingest("b.csv", b"k,v\nx,2\n")
    before = world.documents()

    done = world.replay()

    assert before == [("x", 2, b.id)]
    assert [(k, v) for k, v, _ in world.documents()] == [("x", 2), ("y", 1)]
    assert not done.differences


def test_merged_rows_have_the_documents_of_the_table_whatever_the_index_held(world: World) -> None:
    world.dataset = dataset_of(
        columns=[{"name": name, "type": "integer", "required": True} for name in ("k", "v")],
        index={"name": "t", "id_columns": ["k"]},
        upsert={"key": ["k"], "order_by": "v"},
    )
    newest = world.ingest("a.csv", b"k,v\n1,9\n2,1\n", index=False)
    other = world.ingest("b.csv", b"k,v\n1,2\n2,2\n3,1\nx,1\n", index=False)
    world.search.write("t", [alien(newest.id, "of an earlier definition")])

    first, second = world.replay(), world.replay()

    assert world.documents() == [(1, 9, newest.id), (2, 2, other.id), (3, 1, other.id)]
    assert (first.files, first.documents, first.refused, first.differences) == (2, 3, {}, {})
    assert first == second


def test_without_a_table_the_same_bytes_put_twice_stay_one_set_of_documents(world: World) -> None:
    world.dataset = dataset_of(table=None)
    for _ in range(2):
        world.ingest("a.csv", b"k,v\nx,1\n")

    world.replay()
    done = world.replay()

    assert [(k, v) for k, v, _ in world.documents()] == [("x", 1)]
    assert not done.differences


def test_a_window_leaves_the_other_files_documents(world: World) -> None:
    world.ingest("a.csv", b"k,v\nx,1\n")
    late = world.ingest("b.csv", b"k,v\ny,1\n")
    before = world.documents()

    done = world.replay(Window(since=late.modified))

    assert done.files == 1
    assert world.documents() == before


def test_documents_that_went_missing_while_it_was_written_are_told(world: World) -> None:
    arrival = world.ingest("a.csv", b"k,v\nx,1\ny,2\n")
    foreseen = world.foresee()
    world.clock.advance(timedelta(hours=1))
    warehouse = world.warehouse
    lose = lambda _: world.search.delete("t", [f"{arrival.id}-1"])  # noqa: E731 - one line, used once

    done = write_again(world.store, warehouse, world.search, world.clock, world.dataset, foreseen, lose)

    assert list(done.differences.values()) == [(2, 1)]


@pytest.mark.parametrize(("changes", "what"), [({"index": None}, "no index"), ({}, "no warehouse")])
def test_what_has_no_documents_or_no_ledger_is_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(PermanentError, match=what.replace("no warehouse", "this stack has no")):
        indexed_dataset(dataset_of(**changes), has_warehouse=False)
