"""`upsert` on PostgreSQL: whatever order files are loaded in, alone or beside each other, the table ends the same."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import Postgres
from tests.contract.warehouses import PostgresKit, dataset_of, load
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.search_index import FakeSearchIndex

from penstock.adapters.postgres import PostgresSchema
from penstock.flows.index_batch import Indexing
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.errors import PenstockError
from penstock.model.outcomes import IndexOutcome, LoadOutcome, Verdict
from penstock.model.streams import ByteStream

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "integer", "required": True},
    {"name": "at", "type": "numeric", "required": True},
    {"name": "name", "type": "text"},
]
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def upserting(**changes: Any) -> Dataset:
    return dataset_of(COLUMNS, **{"upsert": {"key": ["id"], "order_by": "at"}, **changes})


@pytest.fixture(scope="module")
def kit(postgres: Postgres) -> Iterator[PostgresKit]:
    made = PostgresKit(postgres.owner, postgres.loader)
    yield made
    made.close()


@pytest.fixture
def store() -> FakeObjectStore:
    return FakeObjectStore()


def csv(*rows: tuple[int, float, str]) -> bytes:
    return ("id,at,name\n" + "".join(f"{id_},{at},{name}\n" for id_, at, name in rows)).encode()


def put(store: FakeObjectStore, dataset: Dataset, key: str, data: bytes, minute: int = 0) -> Arrival:
    """`minute` is when it was put."""
    return replace(store.put(f"incoming/{dataset.prefix}{key}", data), modified=NOON + timedelta(minutes=minute))


def table(kit: PostgresKit, dataset: Dataset) -> list[tuple[int, float, str]]:
    return sorted((id_, float(at), name) for id_, at, name in kit.rows(dataset))


def test_a_file_with_bad_rows_is_merged_without_them(kit: PostgresKit, store: FakeObjectStore) -> None:
    dataset = upserting(max_reject_ratio=0.5)
    kit.apply(dataset)
    body = csv((1, 2, "a"), (1, 9, "b"), (1, 9, "c")) + b"x,9,d\n,9,e\n"
    arrival = put(store, dataset, "1", body)

    outcome = load(kit.warehouse, dataset, store, arrival)[arrival.id]

    assert table(kit, dataset) == [(1, 9, "c")]
    assert outcome == LoadOutcome(Verdict.LOADED, rows=3, rejects=2)


def test_a_quarantined_file_changes_no_row_and_its_neighbours_are_merged(
    kit: PostgresKit, store: FakeObjectStore
) -> None:
    dataset = upserting()
    kit.apply(dataset)
    good, bad, more = (
        put(store, dataset, str(number), body)
        for number, body in enumerate((csv((1, 1, "a")), csv((1, 9, "b")) + b"x,9,\n", csv((1, 2, "c"))))
    )

    outcomes = load(kit.warehouse, dataset, store, good, bad, more)

    assert table(kit, dataset) == [(1, 2, "c")]
    assert outcomes[bad.id].verdict is Verdict.QUARANTINED


@pytest.mark.parametrize("format_", ["jsonl", "json"])
def test_json_is_merged_too(kit: PostgresKit, store: FakeObjectStore, format_: str) -> None:
    dataset = upserting(format=format_)
    kit.apply(dataset)
    objects = [json.dumps({"id": 1, "at": at, "name": str(at)}) for at in (2, 3, 1)]
    body = "\n".join(objects) if format_ == "jsonl" else f"[{','.join(objects)}]"

    load(kit.warehouse, dataset, store, put(store, dataset, "1", body.encode()))

    assert table(kit, dataset) == [(1, 3, "3")]


_ROWS = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(
    files=st.lists(st.tuples(_ROWS, st.integers(0, 2)), min_size=2, max_size=4),
    data=st.data(),
)
def test_any_order_and_any_batches_give_the_same_table(
    kit: PostgresKit, files: Sequence[tuple[list[tuple[int, int]], int]], data: st.DataObject
) -> None:
    store = FakeObjectStore()
    numbers = itertools.count()
    bodies = [(csv(*((id_, at, f"row {next(numbers)}") for id_, at in rows)), minute) for rows, minute in files]
    dataset, other = upserting(), upserting()
    kit.apply(dataset)
    kit.apply(other)
    arrivals = [put(store, dataset, f"{place}", body, minute) for place, (body, minute) in enumerate(bodies)]
    order = data.draw(st.permutations(arrivals))
    cut = data.draw(st.integers(1, len(order) - 1))

    for arrival in arrivals:
        load(kit.warehouse, dataset, store, arrival)
    for batch in (order[:cut], order[cut:]):
        load(kit.warehouse, other, store, *batch)

    assert table(kit, other) == table(kit, dataset)
    newest: dict[int, tuple[Any, ...]] = {}
    for arrival, (rows, _) in zip(arrivals, files, strict=True):
        for place, (id_, at) in enumerate(rows):
            newest[id_] = max(newest.get(id_, ()), (at, arrival.modified, arrival.id, place))
    assert [(id_, at) for id_, at, _ in table(kit, dataset)] == [(id_, newest[id_][0]) for id_ in sorted(newest)]
    with_arrivals = {row[0]: arrival for row, arrival in zip(kit.rows(dataset), kit.arrivals_of(dataset), strict=True)}
    assert with_arrivals == {id_: winner[2] for id_, winner in newest.items()}


def test_loads_beside_each_other_wait_their_turn_and_give_the_same_table(
    kit: PostgresKit, store: FakeObjectStore
) -> None:
    dataset = upserting()
    kit.apply(dataset)
    arrivals = [
        put(store, dataset, f"{number}", csv(*((id_, number % 5, f"{number}") for id_ in ids)), number)
        for number, ids in enumerate([range(1, 400), range(399, 0, -1)] * 6)
    ]
    clients = [kit.another() for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda place: load(clients[place], dataset, store, *arrivals[place::4]), range(4)))

    assert table(kit, dataset) == [(id_, 4, "9") for id_ in range(1, 400)]


class Meeting(FakeObjectStore):
    """Both loads open their second file only when the other has come so far too, or seems to be waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.both = threading.Barrier(2)

    @contextmanager
    def open(self, arrival: Arrival) -> Iterator[ByteStream]:
        if arrival.key.endswith("second"):
            with suppress(threading.BrokenBarrierError):
                self.both.wait(2)
        with super().open(arrival) as stream:
            yield stream


def test_two_loads_that_would_wait_for_each_other_s_rows_take_turns(kit: PostgresKit) -> None:
    dataset, store = upserting(), Meeting()
    kit.apply(dataset)
    one = [put(store, dataset, name, csv((id_, 1, "one"))) for name, id_ in (("1-first", 1), ("1-second", 2))]
    two = [put(store, dataset, name, csv((id_, 2, "two"))) for name, id_ in (("2-first", 2), ("2-second", 1))]
    clients = [kit.another(), kit.another()]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda place: load(clients[place], dataset, store, *(one, two)[place]), range(2)))

    assert table(kit, dataset) == [(1, 2, "two"), (2, 2, "two")]


def with_index(columns: Sequence[dict[str, Any]], key: Sequence[Any]) -> Dataset:
    """The columns' last is what is ordered by."""
    upsert = {"key": [*key], "order_by": columns[-1]["name"]}
    return dataset_of([*columns], upsert=upsert, index={"name": "merged", "id_columns": [*key]})


def test_only_rows_that_stand_have_documents_and_a_row_s_version_grows_with_each_that_takes_its_place(
    kit: PostgresKit, store: FakeObjectStore
) -> None:
    dataset = upserting(index={"name": "merged", "id_columns": ["id"]})
    kit.apply(dataset)
    first = put(store, dataset, "1", csv((1, 1, "a"), (2, 9, "a")))
    second, third = (put(store, dataset, f"{at}", csv((1, at, f"{at}"), (2, at, "-"))) for at in (2, 3))
    load(kit.warehouse, dataset, store, first)
    (old, other) = kit.warehouse.merged_rows(dataset, first)

    load(kit.warehouse, dataset, store, second, third)  # In one transaction, which has one time.

    assert list(kit.warehouse.merged_rows(dataset, first)) == [other]
    assert not list(kit.warehouse.merged_rows(dataset, second))
    (new,) = kit.warehouse.merged_rows(dataset, third)
    assert (old.values, new.values, other.values) == (("1", "1", "a"), ("1", "3", "3"), ("2", "9", "a"))
    assert new.version > old.version + 1


def test_a_clock_that_was_set_back_takes_no_version_back(
    kit: PostgresKit, store: FakeObjectStore, postgres: Postgres
) -> None:
    dataset = upserting(index={"name": "merged", "id_columns": ["id"]})
    kit.apply(dataset)
    load(kit.warehouse, dataset, store, first := put(store, dataset, "1", csv((1, 1, "a"))))
    with psycopg.connect(postgres.owner) as connection:
        connection.execute(f"UPDATE {dataset.name} SET penstock_loaded_at = now() + interval '1 hour'")
    (before,) = kit.warehouse.merged_rows(dataset, first)

    load(kit.warehouse, dataset, store, second := put(store, dataset, "2", csv((1, 2, "b"))))

    (after,) = kit.warehouse.merged_rows(dataset, second)
    assert after.version == before.version + 1


def test_rows_are_read_by_pages_whatever_their_key_and_equal_keys_are_written_alike(
    kit: PostgresKit, store: FakeObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.adapters.postgres.warehouse._PAGE", 2)
    types = ("numeric", "double", "timestamptz", "text", "boolean")
    columns = [{"name": f"c{place}", "type": type_, "required": True} for place, type_ in enumerate(types)]
    dataset = with_index(
        [*columns, {"name": "at", "type": "integer", "required": True}], [one["name"] for one in columns]
    )
    kit.apply(dataset)
    lines = [
        "1.50,-0,2026-01-01 00:00:00+02,it's,true,1",
        "1.50,NaN,2026-01-01 00:00:00+02,b,true,1",
        "NaN,1e300,0099-01-01,\\,false,1",
        "2,0.1,2026-01-01,a,false,1",
        "2.0,0.10,2026-01-01 00:00:00Z,a,no,2",
    ]
    arrival = put(store, dataset, "1", "\n".join(["c0,c1,c2,c3,c4,at", *lines, ""]).encode())

    load(kit.warehouse, dataset, store, arrival)

    assert [row.values for row in kit.warehouse.merged_rows(dataset, arrival)] == [
        ("1.5", "0", "2025-12-31 22:00:00+00", "it's", "true", "1"),
        ("1.5", "NaN", "2025-12-31 22:00:00+00", "b", "true", "1"),
        ("2", "0.1", "2026-01-01 00:00:00+00", "a", "false", "2"),
        ("NaN", "1e+300", "0099-01-01 00:00:00+00", "\\", "false", "1"),
    ]


def test_documents_are_of_the_table_s_values_and_null_where_an_index_takes_none(
    kit: PostgresKit, store: FakeObjectStore
) -> None:
    types = ("boolean", "real", "timestamp", "timestamptz", "date", "uuid", "json", "text", "numeric")
    columns = [{"name": f"c_{type_}", "type": type_} for type_ in types]
    number = {"name": "id", "type": "integer", "required": True}
    dataset = with_index([number, *columns, {"name": "at", "type": "date", "required": True}], ["id"])
    kit.apply(dataset)
    header = "id," + ",".join(str(one["name"]) for one in columns) + ",at\n"
    good = '1,on,1.5,2026-02-03 04:05:06.7,2026-02-03 04:05+01,"Feb 3, 2026",'
    good += 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11,"{""a"": [1.10]}",text,1.10,2026-01-01\n'
    bad = "2,,NaN,,,,,,,NaN,2026-01-01\n"
    arrival = put(store, dataset, "1", (header + good + bad).encode())
    load(kit.warehouse, dataset, store, arrival)
    search = FakeSearchIndex()

    outcome = Indexing(dataset, "merged", store, search, NOON).index_merged(arrival, kit.warehouse)

    one, two = (
        {name[2:]: doc[name] for name in doc if name[:2] == "c_"} for doc in search.documents["merged"].values()
    )
    assert outcome == IndexOutcome(documents=2)
    assert one == {
        "boolean": True,
        "real": 1.5,
        "timestamp": "2026-02-03T04:05:06.700000",
        "date": "2026-02-03",
        "timestamptz": "2026-02-03T03:05:00+00:00",
        "uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "json": {"a": [1.1]},
        "text": "text",
        "numeric": 1.1,
    }
    assert set(two.values()) == {None}


def test_apply_refuses_a_table_with_two_rows_of_a_key_and_makes_the_key_once(
    kit: PostgresKit, store: FakeObjectStore, postgres: Postgres
) -> None:
    appending = dataset_of(COLUMNS)
    kit.apply(appending)
    load(kit.warehouse, appending, store, put(store, appending, "1", csv((1, 1, "a"), (1, 2, "b"))))
    merging = Dataset.model_validate({**appending.model_dump(), "upsert": {"key": ["id"], "order_by": "at"}})

    with pytest.raises(PenstockError, match="holds rows that are equal in id"):
        kit.apply(merging)
    with psycopg.connect(postgres.owner) as connection:
        connection.execute(f"DELETE FROM public.{appending.name} WHERE name = 'a'")

    assert PostgresSchema(postgres.owner).apply([merging]) == [
        f"created a unique index on id of table public.{appending.name}"
    ]
    assert PostgresSchema(postgres.owner).apply([merging]) == []


def test_rows_from_before_penstock_give_way_to_newer_ones_and_to_equals(
    kit: PostgresKit, store: FakeObjectStore, postgres: Postgres
) -> None:
    dataset = upserting()
    with psycopg.connect(postgres.owner) as connection:
        connection.execute(
            f"CREATE TABLE {dataset.name} (id integer NOT NULL, at numeric NOT NULL, name text);"
            f"INSERT INTO {dataset.name} VALUES (1, 5, 'old'), (2, 5, 'old'), (3, 5, 'old')"
        )
    kit.apply(dataset)

    load(kit.warehouse, dataset, store, put(store, dataset, "1", csv((1, 4, "new"), (2, 5, "new"), (3, 6, "new"))))

    assert table(kit, dataset) == [(1, 5, "old"), (2, 5, "new"), (3, 6, "new")]


def test_a_table_without_its_key_is_no_file_s_fault(kit: PostgresKit, store: FakeObjectStore) -> None:
    appending = dataset_of(COLUMNS)
    kit.apply(appending)
    merging = Dataset.model_validate({**appending.model_dump(), "upsert": {"key": ["id"], "order_by": "at"}})
    arrival = put(store, merging, "1", csv((1, 1, "a")))

    with pytest.raises(PenstockError):
        load(kit.warehouse, merging, store, arrival)

    assert kit.warehouse.outcomes(merging, [arrival]) == {}
