"""Redshift under the contract: the stand-in, or a real one where PENSTOCK_REDSHIFT_WORKGROUP or _CLUSTER is set.

The real one takes wiring's own variables, and PENSTOCK_REDSHIFT_BUCKET: a bucket that its COPY role may read. The role
that tests run as owns the tables. What is staged is written there; tables `things_…` are left behind.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest
from psycopg import sql
from tests.contract.engines import client
from tests.fakes.object_store import FakeObjectStore

from penstock.adapters.redshift import (
    DataApi,
    Endpoint,
    RedshiftRebuild,
    RedshiftSchema,
    RedshiftViews,
    RedshiftViewSchema,
    RedshiftWarehouse,
)
from penstock.local.redshift import DataApiServer, Statements, prepare
from penstock.local.redshift.server import PAUSED
from penstock.model.datasets import ColumnType, Dataset, Table
from penstock.model.plans import Batch
from penstock.ports import LoadProgress, Move, ObjectStore, Warehouse

REAL = {
    name: os.environ.get(f"PENSTOCK_REDSHIFT_{name.upper()}", "")
    for name in ("workgroup", "cluster", "db_user", "bucket")
}
BUCKET = REAL["bucket"] or "landing"

_FROM_TEXT: dict[ColumnType, Callable[[str], Any]] = {
    ColumnType.NUMERIC: Decimal,
    ColumnType.DATE: date.fromisoformat,
    ColumnType.TIMESTAMP: datetime.fromisoformat,
    ColumnType.TIMESTAMPTZ: datetime.fromisoformat,
    ColumnType.JSON: json.loads,
}
"""What the Data API gives as a text."""


class RedshiftKit:
    """The stand-in reads whatever store a test loads from; the real one reads S3, where the same is written."""

    def __init__(self, superuser: Callable[[], str]) -> None:
        self._store: ObjectStore = FakeObjectStore(BUCKET)
        self._stack = ExitStack()
        self._is_real = bool(REAL["workgroup"] or REAL["cluster"])
        self._loader = "" if self._is_real else "penstock_loader"
        if self._is_real:
            self._client: Any = boto3.client("redshift-data")
        else:
            self._server = DataApiServer(Statements(prepare(superuser()), self._read))
            self._client = client("redshift-data", self._stack.enter_context(self._server.serving()))
        self.warehouse: Warehouse = self.another()

    def another(self) -> Warehouse:
        return self._warehouse("penstock_loader")

    def owning(self) -> Warehouse:
        """As the tables' owner, who loads what is rebuilt."""
        return self._warehouse("penstock_owner")

    def rebuild(self) -> RedshiftRebuild:
        return RedshiftRebuild(self._api("penstock_owner"), self._loader)

    def views(self) -> RedshiftViews:
        return RedshiftViews(self._api("penstock_owner"))

    def view_schema(self) -> RedshiftViewSchema:
        return RedshiftViewSchema(self._api("penstock_owner"), self._loader)

    def do(self, statement: str) -> None:
        """As the tables' owner."""
        ended = self._api("penstock_owner").execute(statement, "do what a test asks")
        assert ended.status == "FINISHED", ended.error

    def read(self, statement: str) -> list[tuple[Any, ...]]:
        """As whoever loads."""
        return list(self._api("penstock_loader").query(statement, "read what a test asks"))

    def _warehouse(self, user: str) -> Warehouse:
        kit = self

        class Loading(RedshiftWarehouse):
            def begin(self, batch: Batch, dataset: Dataset, store: ObjectStore) -> LoadProgress:
                kit._store = self._store = _InS3(store) if kit._is_real else store
                return super().begin(batch, dataset, self._store)

        role = os.environ.get("PENSTOCK_REDSHIFT_COPY_ROLE", "default")
        return Loading(self._api(user), role, self._store, wait=10)

    def apply(self, dataset: Dataset) -> None:
        RedshiftSchema(self._api("penstock_owner"), self._loader).apply([dataset])

    def rows(self, dataset: Dataset) -> list[tuple[Any, ...]]:
        table = dataset.table or Table(name="none")
        statement = sql.SQL("SELECT {} FROM {}").format(
            sql.SQL(", ").join(sql.Identifier(column.name) for column in dataset.columns),
            sql.Identifier(table.schema_name, table.name),
        )
        readers = [_FROM_TEXT.get(column.type) for column in dataset.columns]
        return [
            tuple(
                read(value) if read and value is not None else value for read, value in zip(readers, row, strict=True)
            )
            for row in self._api("penstock_owner").query(statement.as_string(), "read the rows of a test")
        ]

    def arrivals_of(self, dataset: Dataset) -> list[str]:
        """As far as they are told apart: rows of one COPY of many files by how many each has brought."""
        return [arrival for arrival, rows in self.warehouse.rows_by_arrival(dataset) for _ in range(rows)]

    @contextmanager
    def down(self) -> Iterator[None]:
        if self._is_real:
            pytest.skip("a real one is not paused for a test")
        self._server.api.pause(*PAUSED)
        try:
            yield
        finally:
            self._server.api.resume()

    def close(self) -> None:
        self._stack.close()

    def _read(self, bucket: str, key: str) -> bytes:
        assert bucket == BUCKET
        assert isinstance(self._store, FakeObjectStore)
        return self._store.content(key)

    def _api(self, user: str) -> DataApi:
        if not self._is_real:
            return DataApi(self._client, Endpoint("dev", cluster="local", db_user=user))
        known = {name: value for name, value in REAL.items() if name != "bucket"}
        secret = os.environ.get("PENSTOCK_WAREHOUSE_SECRET_ARN", "")
        database = os.environ.get("PENSTOCK_REDSHIFT_DATABASE", "dev")
        return DataApi(self._client, Endpoint(database, secret_arn=secret, **known))


class _InS3:
    """A store whose own documents and copies are written to S3 as well."""

    def __init__(self, store: ObjectStore) -> None:
        self._store: Any = store
        self._s3 = boto3.client("s3")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def copy(self, copies: Sequence[Move]) -> None:
        self._store.copy(copies)
        for copy in copies:
            self._put(copy.to)

    def put_json(self, key: str, document: Any) -> None:
        self._store.put_json(key, document)
        self._put(key)

    def put_lines(self, key: str, lines: Iterable[bytes]) -> None:
        self._store.put_lines(key, lines)
        self._put(key)

    def _put(self, key: str) -> None:
        self._s3.put_object(Bucket=BUCKET, Key=key, Body=self._store.content(key))
