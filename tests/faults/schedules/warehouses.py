"""The warehouse of a schedule: the fake, or the real PostgreSQL with a client of its own for each step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import psycopg
from tests.fakes.warehouse import FakeWarehouse
from tests.faults.schedules.producers import DATASETS, POISON
from tests.faults.schedules.seams import Seam

from penstock.adapters.postgres import PostgresSchema, PostgresWarehouse
from penstock.adapters.postgres.connection import Limits
from penstock.model.datasets import Dataset
from penstock.model.plans import Batch
from penstock.ports import Warehouse


class Bench(Protocol):
    def fresh(self) -> None:
        """An empty warehouse for the next schedule."""
        ...

    def client(self, seam: Seam, store: Any, raw_store: Any) -> Any:
        """A context with the port as a step sees it, and with the store that its loads read from."""
        ...

    def raw(self) -> Warehouse: ...

    def rows(self, dataset: Dataset) -> list[tuple[str, tuple[str, str]]]:
        """Of the dataset's table: each row's arrival id and its values, as texts."""
        ...


class FakeBench:
    def __init__(self) -> None:
        self._warehouse = FakeWarehouse()

    def fresh(self) -> None:
        self._warehouse = FakeWarehouse()

    @contextmanager
    def client(self, seam: Seam, store: Any, raw_store: Any) -> Iterator[Any]:
        # Its `begin` is one step: what a transaction's locks keep apart, it could not.
        yield _LoadingFrom(seam, seam.through(self._warehouse, "warehouse"), raw_store, raw_store)

    def raw(self) -> Warehouse:
        return self._warehouse

    def rows(self, dataset: Dataset) -> list[tuple[str, tuple[str, str]]]:
        assert dataset.table
        loads = self._warehouse._tables.get(dataset.table.qualified, [])
        return [(load.arrival.id, (str(row[0]), str(row[1]))) for load in loads for row in load.rows]


class PostgresBench:
    """A step that waits for another's transaction gives up soon: the other is suspended, and goes on only after it."""

    def __init__(self, owner: str, loader: str) -> None:
        self._loader = loader
        self._owner = psycopg.connect(owner, autocommit=True)
        self._free: list[PostgresWarehouse] = []
        self._all: list[PostgresWarehouse] = []
        PostgresSchema(owner).apply(DATASETS)
        self._raw = self._new()

    def fresh(self) -> None:
        tables = [dataset.table.qualified for dataset in DATASETS.values() if dataset.table]
        self._owner.execute("; ".join(f"DELETE FROM {table}" for table in ["penstock.load", *tables]))

    @contextmanager
    def client(self, seam: Seam, store: Any, raw_store: Any) -> Iterator[Any]:
        warehouse = self._free.pop() if self._free else self._new()
        try:
            yield _LoadingFrom(seam, seam.through(warehouse, "warehouse"), store, raw_store)
        except BaseException:
            warehouse.close()  # With whoever was killed goes its connection.
            raise
        self._free.append(warehouse)

    def raw(self) -> Warehouse:
        return self._raw

    def rows(self, dataset: Dataset) -> list[tuple[str, tuple[str, str]]]:
        assert dataset.table
        found = self._owner.execute(f"SELECT penstock_arrival, id::text, name FROM {dataset.table.qualified}")
        return [(arrival.hex, (id_, name)) for arrival, id_, name in found]

    def close(self) -> None:
        for warehouse in self._all:
            warehouse.close()
        self._owner.close()

    def _new(self) -> PostgresWarehouse:
        warehouse = PostgresWarehouse(self._loader, Limits(whole=30, lock=0.02, idle=30))
        self._all.append(warehouse)
        return warehouse


class _LoadingFrom:
    def __init__(self, seam: Seam, warehouse: Any, store: Any, raw_store: Any) -> None:
        self._seam = seam
        self._warehouse = warehouse
        self._raw_store = raw_store
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    def begin(self, batch: Batch, dataset: Dataset, _store: Any) -> Any:
        versions = [self._raw_store._find(arrival) for arrival in batch.arrivals]
        if any(version and POISON in version.data for version in versions):
            self._seam.die()
        return self._warehouse.begin(batch, dataset, self._store)
