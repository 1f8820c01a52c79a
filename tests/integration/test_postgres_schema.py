"""Applying datasets to a warehouse: what is there is fitted or refused, never dropped."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from tests.conftest import Postgres
from tests.contract.warehouses import PostgresKit, dataset_of, load
from tests.fakes.object_store import FakeObjectStore

from penstock.adapters.postgres import PostgresSchema
from penstock.model.datasets import Column, ColumnType, Dataset
from penstock.model.errors import PermanentError


@pytest.fixture
def owner(postgres: Postgres) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(postgres.owner, autocommit=True) as connection:
        yield connection


def _table(dataset: Dataset) -> str:
    assert dataset.table is not None
    return dataset.table.qualified


def test_applying_twice_does_nothing_the_second_time(postgres: Postgres) -> None:
    dataset = dataset_of(on_overwrite="replace")
    schema = PostgresSchema(postgres.owner)

    first = schema.apply({dataset.name: dataset})
    second = schema.apply({dataset.name: dataset})

    assert f"created table {_table(dataset)}" in first
    assert second == []


def test_a_schema_that_is_missing_is_created(postgres: Postgres) -> None:
    dataset = dataset_of(table="elsewhere.things")
    with psycopg.connect(postgres.superuser, autocommit=True) as connection:
        connection.execute("GRANT CREATE ON DATABASE warehouse TO penstock_owner")

    done = PostgresSchema(postgres.owner).apply([dataset])

    assert done[-2:] == ["created schema elsewhere", "created table elsewhere.things"]


def test_a_nullable_column_is_added(postgres: Postgres) -> None:
    before = dataset_of()
    PostgresSchema(postgres.owner).apply([before])
    after = before.model_copy(update={"columns": (*before.columns, Column(name="x", type=ColumnType.DATE))})

    done = PostgresSchema(postgres.owner).apply([after])

    assert done == [f"added column x to table {_table(before)}"]


def test_a_table_from_before_penstock_is_taken_over_with_its_rows(
    postgres: Postgres, owner: psycopg.Connection[tuple[object, ...]]
) -> None:
    dataset = dataset_of()
    owner.execute(f"CREATE TABLE {_table(dataset)} (id integer, name text, delay smallint)")
    owner.execute(f"INSERT INTO {_table(dataset)} VALUES (0, 'old', 0)")

    PostgresSchema(postgres.owner).apply([dataset])

    kit = PostgresKit(postgres.owner, postgres.loader)
    store = FakeObjectStore()
    arrival = store.put("incoming/a.csv", b"id,name,delay\n1,new,1\n")
    load(kit.warehouse, dataset, store, arrival)
    kit.close()
    assert kit.rows(dataset) == [(0, "old", 0), (1, "new", 1)]
    assert kit.arrivals_of(dataset) == ["0" * 32, arrival.id]


@pytest.mark.parametrize(
    ("columns", "row", "what"),
    [
        (
            "id integer NOT NULL, name text, delay integer",
            "1, 'a', 1",
            r"delay as integer.*ALTER COLUMN delay TYPE",
        ),
        ("name text, delay smallint", "'a', 1", "lacks column id"),
        ("id integer, name text, delay smallint", "NULL, 'a', 1", "rows in which column id is null"),
        ("id integer, name text NOT NULL, delay smallint", "1, 'a', 1", "column name as NOT NULL"),
        ("id integer, name text, delay smallint, more text NOT NULL", "1, 'a', 1, 'm'", "has column more, NOT NULL"),
        ("id integer, name text, delay smallint, penstock_arrival text", "1, 'a', 1, 'm'", "is not Penstock's lineage"),
    ],
)
def test_a_conflict_is_refused_and_nothing_is_changed(
    postgres: Postgres, owner: psycopg.Connection[tuple[object, ...]], columns: str, row: str, what: str
) -> None:
    fine, dataset = dataset_of(), dataset_of()
    owner.execute(f"CREATE TABLE {_table(dataset)} ({columns})")
    owner.execute(f"INSERT INTO {_table(dataset)} VALUES ({row})")

    with pytest.raises(PermanentError, match=what) as caught:
        PostgresSchema(postgres.owner).apply([fine, dataset])

    assert f"dataset {dataset.name}: table {_table(dataset)} " in str(caught.value)
    assert owner.execute("SELECT to_regclass(%s)", (_table(fine),)).fetchone() == (None,)


def test_a_view_is_no_table(postgres: Postgres, owner: psycopg.Connection[tuple[object, ...]]) -> None:
    dataset = dataset_of()
    owner.execute(f"CREATE VIEW {_table(dataset)} AS SELECT 1 AS id")

    with pytest.raises(PermanentError, match="is no table"):
        PostgresSchema(postgres.owner).apply([dataset])


def test_a_missing_loader_is_named(postgres: Postgres) -> None:
    with pytest.raises(PermanentError, match="CREATE ROLE nobody_loads"):
        PostgresSchema(postgres.owner, loader="nobody_loads").apply([])


def test_two_applies_at_once_are_one_after_the_other(postgres: Postgres) -> None:
    datasets = [dataset_of() for _ in range(5)]
    done: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: done.append(PostgresSchema(postgres.owner).apply(datasets))) for _ in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(len(each) for each in done)[:3] == [0, 0, 0]
    assert len(done) == 4
