"""The warehouses that the contract suite runs on, each with what a test has to look at behind the port's back."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import psycopg
import pytest
from psycopg import sql
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.warehouse import FakeWarehouse

from penstock.adapters.postgres import PostgresSchema, PostgresWarehouse
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset, Table
from penstock.model.outcomes import LoadOutcome, Reject
from penstock.model.plans import Batch
from penstock.ports import LoadProgress, ObjectStore, Warehouse

_numbers = itertools.count(1)
_SESSION = uuid.uuid4().hex[:6]
"""A warehouse that outlives the session has the tables of earlier ones."""
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
CLEAN = b"id,name,delay\n1,one,-5\n2,,\n3,three,7\n"
CLEAN_ROWS = [(1, "one", -5), (2, None, None), (3, "three", 7)]
ON_REAL_ONES = pytest.mark.parametrize("kit", ["postgres", "postgres_15", "redshift"], indirect=True)
"""The fake has no SQL, and the oldest PostgreSQL may read a file otherwise than the newest."""


class Kit(Protocol):
    """One kind of warehouse under test."""

    warehouse: Warehouse

    def another(self) -> Warehouse:
        """A second client of the same warehouse, as a second Lambda would be."""
        ...

    def apply(self, dataset: Dataset) -> None: ...

    def rows(self, dataset: Dataset) -> list[tuple[Any, ...]]:
        """The table's rows, the dataset's columns only."""
        ...

    def arrivals_of(self, dataset: Dataset) -> list[str]:
        """The arrival id of each row of the table."""
        ...


class RealKit(Kit, Protocol):
    """One that can be away."""

    def down(self) -> AbstractContextManager[None]:
        """Nobody is let in meanwhile, and who is there is thrown out."""
        ...


class PostgresKit:
    def __init__(self, owner: str, loader: str, superuser: str = "") -> None:
        self._owner = owner
        self._loader = loader
        self._superuser = superuser
        self._clients: list[PostgresWarehouse] = []
        self.warehouse: Warehouse = self.another()

    def another(self) -> PostgresWarehouse:
        made = PostgresWarehouse(self._loader)
        self._clients.append(made)
        return made

    def apply(self, dataset: Dataset) -> None:
        PostgresSchema(self._owner).apply([dataset])

    @contextmanager
    def down(self) -> Iterator[None]:
        with psycopg.connect(self._superuser, autocommit=True) as connection:
            connection.execute("ALTER ROLE penstock_loader NOLOGIN")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'penstock_loader'"
            )
            try:
                yield
            finally:
                connection.execute("ALTER ROLE penstock_loader LOGIN")

    def rows(self, dataset: Dataset) -> list[tuple[Any, ...]]:
        return _select(self._owner, dataset, [column.name for column in dataset.columns])

    def arrivals_of(self, dataset: Dataset) -> list[str]:
        return [arrival.hex for (arrival,) in _select(self._owner, dataset, ["penstock_arrival"])]

    def close(self) -> None:
        for one in self._clients:
            one.close()


class FakeKit:
    def __init__(self) -> None:
        self._fake = FakeWarehouse()
        self.warehouse: Warehouse = self._fake

    def another(self) -> Warehouse:
        return self._fake

    def apply(self, dataset: Dataset) -> None: ...

    def rows(self, dataset: Dataset) -> list[tuple[Any, ...]]:
        """Its values are the file's texts."""
        return self._fake.rows(dataset)

    def arrivals_of(self, dataset: Dataset) -> list[str]:
        return [arrival for arrival, rows in self._fake.rows_by_arrival(dataset) for _ in range(rows)]

    def close(self) -> None: ...


def _select(conninfo: str, dataset: Dataset, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    table = dataset.table or Table(name="none")
    with psycopg.connect(conninfo) as connection:
        return connection.execute(
            sql.SQL("SELECT {} FROM {} ORDER BY ctid").format(
                sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table.schema_name, table.name)
            )
        ).fetchall()


def dataset_of(columns: Sequence[dict[str, Any]] = (), **changes: Any) -> Dataset:
    """A dataset with a table of its own: unless told otherwise `id` (required), `name` and `delay`."""
    name = f"things_{_SESSION}_{next(_numbers)}"
    plain = (
        {"name": "id", "type": "integer", "required": True},
        {"name": "name", "type": "text"},
        {"name": "delay", "type": "smallint"},
    )
    return Dataset.model_validate(
        {
            "name": name,
            "prefix": f"{name}/",
            "format": "csv",
            "columns": list(columns or plain),
            "table": f"public.{name}",
            **changes,
        }
    )


def put(store: FakeObjectStore, dataset: Dataset, key: str, data: bytes, minute: int = 0) -> Arrival:
    """`minute` is when it was put."""
    return replace(store.put(f"incoming/{dataset.prefix}{key}", data), modified=NOON + timedelta(minutes=minute))


def load(warehouse: Warehouse, dataset: Dataset, store: ObjectStore, *arrivals: Arrival) -> dict[str, LoadOutcome]:
    """One batch through the port, to its end; its outcomes by arrival id."""
    batch = Batch(0, dataset.name, arrivals)
    progress = warehouse.begin(batch, dataset, store)
    while progress.running:
        progress = warehouse.poll(batch, dataset, progress.handle)
    assert progress == LoadProgress()
    return dict(warehouse.outcomes(dataset, arrivals))


def rejects(warehouse: Warehouse, dataset: Dataset, arrival: Arrival) -> list[Reject]:
    return list(warehouse.rejects(dataset, arrival))
