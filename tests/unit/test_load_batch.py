from __future__ import annotations

from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.search_index import FakeSearchIndex
from tests.fakes.warehouse import FakeWarehouse

from penstock.flows.apply_datasets import apply_datasets
from penstock.flows.load_batch import begin_load, poll_load
from penstock.model.arrivals import UNCLAIMED, Arrival
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError, ReaderMissingError
from penstock.model.plans import Batch, Plan, plan_key
from penstock.ports import LoadProgress, ObjectStore


def dataset(**to: Any) -> Dataset:
    columns = [{"name": "id", "type": "integer"}]
    return Dataset.model_validate({"name": "things", "prefix": "things/", "format": "csv", "columns": columns, **to})


TABLE = {"things": dataset(table="things")}


@pytest.fixture
def store() -> FakeObjectStore:
    return FakeObjectStore()


def planned(store: FakeObjectStore, name: str = "things") -> Arrival:
    arrival = store.put("incoming/things/a.csv", b"id\n1\n2\n")
    plan = Plan("p", FakeClock().now(), (Batch(0, name, (arrival,)),))
    store.put_json(plan_key("p"), plan.to_json())
    return arrival


def test_a_batch_is_loaded_once_however_often_it_is_begun(store: FakeObjectStore) -> None:
    warehouse = FakeWarehouse()
    planned(store)

    answers = [begin_load(store, warehouse, TABLE, "p", 0) for _ in range(2)]

    assert answers == [{"status": "done", "handle": ""}] * 2
    assert warehouse.rows(TABLE["things"]) == [("1",), ("2",)]


def test_a_next_round_that_the_function_cannot_read_is_left_to_the_one_that_can(store: FakeObjectStore) -> None:
    class Unread(FakeWarehouse):
        def poll(self, batch: Batch, dataset: Dataset, handle: str) -> LoadProgress:
            raise ReaderMissingError(f"{handle} of {dataset.name}, batch {batch.number}")

    planned(store)

    answer = poll_load(store, Unread(), TABLE, "p", 0, "1 copy statement", reads_parquet=False)

    assert answer == {"status": "parquet", "handle": "1 copy statement"}
    with pytest.raises(ReaderMissingError):  # The one that can does not send it round in circles.
        poll_load(store, Unread(), TABLE, "p", 0, "1 copy statement")


def test_a_load_that_goes_on_is_polled_by_its_handle(store: FakeObjectStore) -> None:
    polled: list[str] = []

    class Slow(FakeWarehouse):
        def begin(self, batch: Batch, dataset: Dataset, store: ObjectStore) -> LoadProgress:
            return LoadProgress(running=True, handle="statement-1")

        def poll(self, batch: Batch, dataset: Dataset, handle: str) -> LoadProgress:
            polled.append(handle)
            return LoadProgress(running=len(polled) < 2, handle=handle if len(polled) < 2 else "")

    warehouse = Slow()
    planned(store)

    begun = begin_load(store, warehouse, TABLE, "p", 0)
    first = poll_load(store, warehouse, TABLE, "p", 0, begun["handle"])
    second = poll_load(store, warehouse, TABLE, "p", 0, first["handle"])

    assert [begun["status"], first["status"], second["status"]] == ["running", "running", "done"]
    assert polled == ["statement-1", "statement-1"]


@pytest.mark.parametrize(
    ("name", "datasets"),
    [(UNCLAIMED, TABLE), ("things", {"things": dataset(index="things")})],
    ids=["unclaimed", "index alone"],
)
def test_what_has_no_table_is_done_at_once(store: FakeObjectStore, name: str, datasets: dict[str, Dataset]) -> None:
    planned(store, name)

    assert begin_load(store, None, datasets, "p", 0) == {"status": "done", "handle": ""}
    assert poll_load(store, None, datasets, "p", 0, "") == {"status": "done", "handle": ""}


def test_a_table_in_a_stack_without_a_warehouse_is_a_permanent_error(store: FakeObjectStore) -> None:
    planned(store)

    with pytest.raises(PermanentError, match="no warehouse"):
        begin_load(store, None, TABLE, "p", 0)


def test_a_dataset_that_was_removed_is_a_permanent_error(store: FakeObjectStore) -> None:
    planned(store)

    with pytest.raises(PermanentError, match=r"things.*removed"):
        begin_load(store, FakeWarehouse(), {}, "p", 0)


def test_applying_says_what_was_done_and_does_it_once() -> None:
    done: list[str] = []

    class Schema:
        def apply(self, datasets: Any) -> list[str]:
            new = [f"table {name}" for name in datasets if f"table {name}" not in done]
            done.extend(new)
            return new

    schema, search = Schema(), FakeSearchIndex()
    datasets = {"things": dataset(table="things", index="things")}

    first = apply_datasets(schema, search, datasets)
    again = apply_datasets(schema, search, datasets)

    assert first == ["table things", "index things: created or updated for dataset things"]
    assert again == []
    assert apply_datasets(None, None, datasets) == []
