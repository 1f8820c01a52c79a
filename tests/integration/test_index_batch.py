"""`index_batch` against the embedded index over HTTP: what is in the index at the end, and what word it leaves."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from tenacity import wait_none
from tests.fakes.clock import FakeClock
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.search_server import Faults, embedded_search
from tests.fakes.warehouse import FakeWarehouse

from penstock.adapters.opensearch import OpenSearchIndex
from penstock.adapters.opensearch_bulk import Bulk
from penstock.adapters.opensearch_client import make_client
from penstock.flows.index_batch import index_batch
from penstock.flows.set_aside import REASON, companion_key
from penstock.flows.withdraw_rows import withdraw_rows
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError, TransientError
from penstock.model.outcomes import IndexOutcome, SettledArrival, SettledBatch, Settlement
from penstock.model.plans import Batch, Plan, indexed_key, plan_key, settling_key
from penstock.model.streams import ByteStream
from penstock.ports import Move

PLAN = "20260115T100000-abc"
HEADER = b"k,v\n"


@dataclass
class World:
    """One plan with one batch of one dataset, and what it meets."""

    search: OpenSearchIndex
    faults: Faults
    store: FakeObjectStore = field(default_factory=FakeObjectStore)
    warehouse: FakeWarehouse = field(default_factory=FakeWarehouse)
    clock: FakeClock = field(default_factory=FakeClock)
    dataset: Dataset = field(default_factory=lambda: dataset())

    def planned(self, *arrivals: Arrival) -> None:
        plan = Plan(PLAN, self.clock.now(), (Batch(0, "t", arrivals),))
        self.store.put_json(plan_key(PLAN), plan.to_json())

    def load(self, *arrivals: Arrival) -> None:
        self.warehouse.begin(Batch(0, "t", arrivals), self.dataset, self.store)

    def index(self, *, load_ended: bool = False) -> dict[str, Any]:
        self.search.apply(self.dataset)
        datasets = {"t": self.dataset}
        ports = self.store, self.warehouse, self.search
        return index_batch(PLAN, 0, *ports, datasets, self.clock, load_ended=load_ended)

    def outcome(self, arrival: Arrival) -> IndexOutcome:
        return IndexOutcome.from_json(self.store.get_json(indexed_key(PLAN, 0))[arrival.id])

    def documents(self) -> dict[str, Any]:
        self.search.count("t")
        found = self.search.search("t", "", 10_000)
        return {hit["_id"]: {key: hit["_source"][key] for key in ("k", "v", "penstock_arrival")} for hit in found}


class OneAtATime(FakeObjectStore):
    """Files that have to be closed before the next one is opened."""

    opened = 0

    @contextmanager
    def open(self, arrival: Arrival) -> Iterator[ByteStream]:
        assert self.opened == 0
        self.opened += 1
        with super().open(arrival) as stream:
            yield stream
        self.opened -= 1


def dataset(**changes: Any) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "t",
            "prefix": "t/",
            "format": "csv",
            "columns": [{"name": "k", "type": "text", "required": True}, {"name": "v", "type": "integer"}],
            "table": "t",
            "index": "t",
            **changes,
        }
    )


@pytest.fixture
def world() -> Iterator[World]:
    with embedded_search() as (url, faults), make_client(url, "none") as client:
        yield World(OpenSearchIndex(client, Bulk(client, attempts=3, wait=wait_none())), faults)


def test_every_row_of_every_file_becomes_a_document(world: World) -> None:
    a = world.store.put("incoming/t/a.csv", HEADER + b"x,1\ny,2\n")
    b = world.store.put("incoming/t/b.csv.gz", gzip.compress(HEADER + b"z,3\n"))
    world.planned(a, b)

    assert world.index() == {"status": "done", "documents": 3, "rejected": 0}

    assert world.documents() == {
        f"{a.id}-0": {"k": "x", "v": 1, "penstock_arrival": a.id},
        f"{a.id}-1": {"k": "y", "v": 2, "penstock_arrival": a.id},
        f"{b.id}-0": {"k": "z", "v": 3, "penstock_arrival": b.id},
    }
    assert (world.outcome(a).documents, world.outcome(b).documents) == (2, 1)


def test_indexing_twice_changes_nothing(world: World) -> None:
    arrivals = [world.store.put(f"incoming/t/{n}.csv", HEADER + b"x,1\ny,bad\n" * 20) for n in range(6)]
    world.planned(*arrivals)
    world.dataset = dataset(table=None)
    first = world.index()
    documents, outcomes = world.documents(), [world.outcome(arrival) for arrival in arrivals]

    assert world.index() == first == {"status": "done", "documents": 120, "rejected": 120}

    assert world.documents() == documents
    assert [world.outcome(arrival) for arrival in arrivals] == outcomes


def test_an_attempt_that_died_half_way_is_made_whole_by_the_next(world: World) -> None:
    arrival = world.store.put("incoming/t/a.csv", HEADER + b"".join(b"x,%d\n" % n for n in range(50)))
    world.planned(arrival)
    world.faults.plan = [lambda id_: id_.endswith("7")] * 3
    with pytest.raises(TransientError):
        world.index()

    assert world.index()["documents"] == 50

    assert len(world.documents()) == 50


def test_rejects_name_the_line_in_the_file_whoever_rejected_the_row(world: World) -> None:
    arrival = world.store.put("incoming/t/a.csv", HEADER + b'"a\nb",1\nx,no number\nx\n,4\ny,5\n')
    world.planned(arrival)
    world.dataset = dataset(table=None)

    assert world.index() == {"status": "done", "documents": 2, "rejected": 3}

    assert [(reject.line, reject.column, reject.raw) for reject in world.outcome(arrival).rejects] == [
        (4, "v", "x,no number"),
        (5, "", "x"),
        (6, "k", ",4"),
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"k,other\nx,1\n", "the header changed"),
        (HEADER + b"x,1\n" * 10 + b'"open,2\n', "never closed"),
        (b"", "empty"),
    ],
)
def test_a_bad_file_leaves_a_reason_and_no_documents_and_its_neighbour_goes_in(
    world: World, data: bytes, reason: str
) -> None:
    bad = world.store.put("incoming/t/bad.csv", data)
    good = world.store.put("incoming/t/good.csv", HEADER + b"x,1\n")
    world.planned(bad, good)

    assert world.index()["documents"] == 1

    assert reason in world.outcome(bad).reason
    assert {document["penstock_arrival"] for document in world.documents().values()} == {good.id}


@pytest.mark.parametrize("table", ["t", None])
def test_a_late_indexing_that_misses_one_file_takes_out_what_it_wrote_of_another_that_was_refused_meanwhile(
    world: World, table: str | None
) -> None:
    world.dataset = dataset(table=table)

    class Settled(FakeObjectStore):
        @contextmanager
        def open(self, arrival: Arrival) -> Iterator[ByteStream]:
            if arrival == b:  # Another run settles both, while this one is at work.
                world.warehouse.quarantine(world.dataset, [a], "it is refused")
                failed = SettledArrival(a.id, a.key, Settlement.FAILED)
                self.put_json(settling_key(PLAN, 0), {"batch": SettledBatch(PLAN, 0, "t", (failed,)).to_json()})
                told = {"reason": "it is refused", "retry": 0, "run": PLAN}
                self.put_json(companion_key(a, "t", "t/", REASON), told)
                self.move([Move(b, "processed/t/b")])
            with super().open(arrival) as stream:
                yield stream

    world.store = Settled()
    a = world.store.put("incoming/t/a.csv", HEADER + b"x,1\n")
    b = world.store.put("incoming/t/b.csv", HEADER + b"y,2\n")
    world.planned(a, b)

    with pytest.raises(PermanentError):
        world.index()

    assert world.documents() == {}


def test_documents_of_a_file_that_turns_bad_late_are_taken_out_again(world: World) -> None:
    # More than what is unpacked before the first byte is handed on (8 MiB).
    body = gzip.compress(HEADER + b"".join(b"%0300d,%d\n" % (n, n) for n in range(40_000)))
    arrival = world.store.put("incoming/t/a.csv.gz", body[:-8])
    world.planned(arrival)
    world.search._bulk._max_bytes = 50_000

    assert world.index() == {"status": "done", "documents": 0, "rejected": 0}

    assert len(world.faults.requests) > 10
    assert world.documents() == {}
    assert "ends early" in world.outcome(arrival).reason


def test_what_the_load_ledger_has_set_aside_is_not_written(world: World) -> None:
    first = world.store.put("incoming/t/a.csv", HEADER + b"x,1\n")
    same = world.store.put("incoming/t/a.csv", HEADER + b"x,1\n")
    bad = world.store.put("incoming/t/b.csv", b"other\n1\n")
    world.planned(first, same, bad)
    world.warehouse.begin(Batch(0, "t", (first, same, bad)), world.dataset, world.store)

    assert world.index()["documents"] == 1

    assert world.faults.requests == [[f"{first.id}-0"]]
    assert world.documents().keys() == {f"{first.id}-0"}
    assert world.outcome(same) == world.outcome(bad) == IndexOutcome()


@pytest.mark.parametrize("id_columns", [[], ["k"]])
def test_content_that_is_loaded_already_is_not_indexed_again(world: World, id_columns: list[str]) -> None:
    world.dataset = dataset(index={"name": "t", "id_columns": id_columns})
    first = world.store.put("incoming/t/a.csv", HEADER + b"x,1\n")
    world.planned(first)
    world.warehouse.begin(Batch(0, "t", (first,)), world.dataset, world.store)
    world.index()
    before = world.documents()
    again = world.store.put("incoming/t/a.csv", HEADER + b"x,1\n")
    world.planned(again)

    answer = world.index(load_ended=True)

    assert answer == {"status": "done", "documents": 0, "rejected": 0}
    assert world.documents() == before


def test_what_the_load_ledger_sets_aside_meanwhile_is_taken_out_again(world: World) -> None:
    arrival = world.store.put("incoming/t/a.csv", HEADER + b"x,1\n")
    world.planned(arrival)

    def meanwhile(_id: str) -> bool:
        world.warehouse.quarantine(world.dataset, [arrival], "given up on")
        return False

    world.faults.plan = [meanwhile]

    assert world.index()["documents"] == 0

    assert world.documents() == {}
    assert world.outcome(arrival) == IndexOutcome()


def test_with_id_columns_nothing_is_written_before_the_ledger_has_decided_all(world: World) -> None:
    world.dataset = dataset(index={"name": "t", "id_columns": ["k"]})
    one, other = (world.store.put(f"incoming/t/{name}.csv", HEADER + b"x,1\n") for name in ("a", "b"))
    world.planned(one, other)
    world.load(one)

    assert world.index() == {"status": "waiting", "documents": 0, "rejected": 0}

    assert world.faults.requests == []
    with pytest.raises(KeyError):
        world.outcome(one)


def test_with_id_columns_what_is_undecided_when_the_load_has_ended_gets_no_document_and_no_word(world: World) -> None:
    world.dataset = dataset(index={"name": "t", "id_columns": ["k"]})
    loaded = world.store.put("incoming/t/a.csv", HEADER + b"x,1\n")
    undecided = world.store.put("incoming/t/b.csv", HEADER + b"x,2\n")
    world.planned(loaded, undecided)
    world.load(loaded)

    assert world.index(load_ended=True) == {"status": "done", "documents": 1, "rejected": 0}

    assert [document["v"] for document in world.documents().values()] == [1]
    with pytest.raises(KeyError):
        world.outcome(undecided)


def test_with_id_columns_a_quarantined_file_takes_the_place_of_no_document(world: World) -> None:
    world.dataset = dataset(index={"name": "t", "id_columns": ["k"]})
    old = world.store.put("incoming/t/a.csv", HEADER + b"x,1\n")
    new = world.store.put("incoming/t/b.csv", HEADER + b"x,2\ny,no number\n")
    world.planned(old, new)
    world.load(old, new)

    assert world.index()["documents"] == 1

    assert [document["v"] for document in world.documents().values()] == [1]
    assert world.outcome(new) == IndexOutcome()


def test_with_id_columns_a_row_that_the_ledger_rejected_takes_the_place_of_no_document(world: World) -> None:
    world.dataset = dataset(index={"name": "t", "id_columns": ["k"], "fields": ["k"]}, max_reject_ratio=0.5)
    old = world.store.put("incoming/t/a.csv", HEADER + b"x,1\n")
    new = world.store.put("incoming/t/b.csv", HEADER + b"x,no number\ny,2\n")
    world.planned(old, new)
    world.load(old, new)

    assert world.index() == {"status": "done", "documents": 2, "rejected": 1}

    world.search.count("t")
    found = {hit["_source"]["k"]: hit["_source"]["penstock_arrival"] for hit in world.search.search("t", "", 10)}
    assert found == {"x": old.id, "y": new.id}
    assert (world.outcome(new).documents, world.outcome(new).rejected) == (1, 1)


def test_with_id_columns_and_no_table_a_file_with_too_many_bad_rows_overwrites_nothing(world: World) -> None:
    world.dataset = dataset(index={"name": "t", "id_columns": ["k"]}, table=None)
    old = world.store.put("incoming/t/a.csv", HEADER + b"x,1\n")
    world.planned(old)
    world.index()
    before = world.documents()
    new = world.store.put("incoming/t/b.csv", HEADER + b"x,2\nx\n")
    world.planned(new)

    assert world.index() == {"status": "done", "documents": 0, "rejected": 1}

    assert world.documents() == before
    assert "1 of 2 rows was rejected (0 allowed): line 3" in world.outcome(new).reason


def test_with_id_columns_the_last_file_of_a_batch_wins(world: World) -> None:
    world.dataset = dataset(index={"name": "t", "id_columns": ["k"]})
    world.store = OneAtATime()
    arrivals = [world.store.put(f"incoming/t/{n}.csv", HEADER + b"x,%d\n" % n) for n in range(8)]
    world.planned(*arrivals)
    world.load(*arrivals)

    world.index()

    assert [document["v"] for document in world.documents().values()] == [7]


def test_without_a_table_the_same_bytes_put_again_change_no_number_of_documents(world: World) -> None:
    world.dataset = dataset(table=None)
    first = world.store.put("incoming/t/a.csv", HEADER + b"x,1\ny,2\n")
    world.planned(first)
    world.index()
    again = world.store.put("incoming/t/a.csv", HEADER + b"x,1\ny,2\n")
    world.planned(again)

    assert world.index()["documents"] == 2

    assert len(world.documents()) == 2


def test_a_dataset_without_an_index_is_done_at_once(world: World) -> None:
    world.dataset = dataset(index=None)
    world.planned(world.store.put("incoming/t/a.csv", b"broken"))

    assert world.index() == {"status": "done", "documents": 0, "rejected": 0}

    assert world.faults.requests == []


def test_a_dataset_with_an_index_alone_needs_a_stack_that_has_one(world: World) -> None:
    world.planned()

    with pytest.raises(PermanentError, match="this stack has no index"):
        index_batch(PLAN, 0, world.store, None, None, {"t": dataset(table=None)}, world.clock)


def test_a_plan_or_a_batch_that_is_not_there_is_a_permanent_error(world: World) -> None:
    with pytest.raises(PermanentError, match=f"there is no plan at plans/{PLAN}/plan.json"):
        world.index()
    world.planned()

    with pytest.raises(PermanentError, match="no batch 1"):
        index_batch(PLAN, 1, world.store, None, world.search, {"t": world.dataset}, world.clock)


def test_withdrawing_rows_takes_out_their_documents_alone(world: World) -> None:
    arrival = world.store.put("incoming/t/a.csv", HEADER + b"x,1\ny,2\nz,3\n")
    world.planned(arrival)
    world.index()

    for _ in range(2):
        withdraw_rows(arrival, world.dataset, frozenset((3,)), world.store, world.search)

        assert [document["k"] for document in world.documents().values()] == ["x", "z"]
