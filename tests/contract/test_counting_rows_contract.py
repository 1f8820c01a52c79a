"""A table's rows are counted by their arrival, at once or in parts that hold each of them once."""

from __future__ import annotations

from collections import Counter

import psycopg
import pytest
from psycopg import sql
from tests.conftest import Postgres
from tests.contract.warehouses import Kit, PostgresKit, dataset_of, load
from tests.fakes.object_store import FakeObjectStore

from penstock.adapters.postgres.column_types import table_of
from penstock.adapters.postgres.row_parts import counting
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset

HEADER = b"id,name,delay\n"
MANY = HEADER + b"".join(b"%d,a name of some length,\n" % number for number in range(2000))
"""Rows of some twenty pages."""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.adapters.postgres.row_parts.PAGES", 4)
    monkeypatch.setattr("penstock.adapters.redshift.row_parts.FILES", 2)


def loaded(kit: Kit, store: FakeObjectStore, dataset: Dataset) -> dict[str, int]:
    """Five files, of which three are a batch, and one that is quarantined: the rows of each that has any."""
    sizes = {"many": MANY, "one": HEADER + b"1,a,1\n", "two": HEADER + b"1,a,1\n2,b,2\n", "bad": HEADER + b"x,a,1\n"}
    sizes |= {"late": MANY, "last": HEADER + b"7,g,7\n"}
    arrivals: dict[str, Arrival] = {
        name: store.put(f"incoming/{dataset.prefix}{name}.csv", content) for name, content in sizes.items()
    }
    load(kit.warehouse, dataset, store, arrivals["many"])
    load(kit.warehouse, dataset, store, *(arrivals[name] for name in ("one", "two", "bad")))
    for name in ("late", "last"):
        load(kit.warehouse, dataset, store, arrivals[name])
    rows = {"many": 2000, "one": 1, "two": 2, "late": 2000, "last": 1}
    return {arrivals[name].id: count for name, count in rows.items()}


def in_parts(kit: Kit, dataset: Dataset, after: str = "") -> Counter[str]:
    found: Counter[str] = Counter()
    for part in kit.warehouse.row_parts(dataset, after):
        found.update(dict(kit.warehouse.rows_by_arrival(dataset, part)))
    return found


def test_each_arrival_has_its_rows_in_the_whole_table_and_in_its_parts_together(
    kit: Kit, store: FakeObjectStore
) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    empty = list(kit.warehouse.row_parts(dataset)), dict(kit.warehouse.rows_by_arrival(dataset))

    rows = loaded(kit, store, dataset)

    assert len(empty[0]) <= 1
    assert empty[1] == {}
    assert dict(kit.warehouse.rows_by_arrival(dataset)) == rows
    assert len(list(kit.warehouse.row_parts(dataset))) > 2
    assert in_parts(kit, dataset) == rows


def test_behind_each_part_there_is_what_is_left(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    left = Counter(loaded(kit, store, dataset))

    for part in kit.warehouse.row_parts(dataset):
        left.subtract(dict(kit.warehouse.rows_by_arrival(dataset, part)))

        assert in_parts(kit, dataset, part) == +left


def test_what_is_inserted_while_parts_are_read_takes_nothing_from_what_was_there(
    kit: Kit, store: FakeObjectStore
) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    there = loaded(kit, store, dataset)
    parts, found = list(kit.warehouse.row_parts(dataset)), Counter[str]()
    half = len(parts) // 2

    for part in parts[:half]:
        found.update(dict(kit.warehouse.rows_by_arrival(dataset, part)))
    for number in range(3):
        load(kit.warehouse, dataset, store, store.put(f"incoming/{dataset.prefix}new{number}.csv", MANY))
    found += in_parts(kit, dataset, parts[half - 1])

    assert {arrival: found[arrival] for arrival in there} == there


@pytest.fixture
def tables(postgres: Postgres) -> PostgresKit:
    return PostgresKit(postgres.owner, postgres.loader)


def test_a_part_reads_its_pages_and_no_others(postgres: Postgres, tables: PostgresKit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    tables.apply(dataset)
    loaded(tables, store, dataset)

    with psycopg.connect(postgres.owner) as connection:
        for part in tables.warehouse.row_parts(dataset):
            plan = connection.execute(sql.SQL("EXPLAIN {}").format(counting(table_of(dataset), part))).fetchall()
            assert "Tid Range Scan" in str(plan)
    tables.close()


def test_partitions_share_the_parts(postgres: Postgres, tables: PostgresKit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    name = sql.Identifier(dataset.name)
    with psycopg.connect(postgres.owner) as connection:
        connection.execute(
            sql.SQL("CREATE TABLE {} (id integer NOT NULL, name text, delay smallint) PARTITION BY HASH (id)").format(
                name
            )
        )
        for number in range(2):
            connection.execute(
                sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES WITH (MODULUS 2, REMAINDER {})").format(
                    sql.Identifier(f"{dataset.name}_{number}"), name, number
                )
            )
    tables.apply(dataset)

    rows = loaded(tables, store, dataset)

    assert in_parts(tables, dataset) == rows
    assert [part.partition("-")[0] for part in tables.warehouse.row_parts(dataset)][:3] == ["0", "1", "2"]
    tables.close()
