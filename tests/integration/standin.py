"""Redshift's stand-in, and a warehouse on it, as tests of its loads want it."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import Any

from botocore.exceptions import ClientError
from tests.contract.engines import client
from tests.contract.warehouses import dataset_of
from tests.fakes.object_store import FakeObjectStore

from penstock.adapters.redshift import DataApi, Endpoint, RedshiftSchema, RedshiftWarehouse
from penstock.local.redshift import DataApiServer, Statements, prepare
from penstock.local.redshift.statements import Statement
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.plans import Batch
from penstock.ports import LoadProgress


class Standin:
    """The stand-in for the Data API, a warehouse on it, and a gate before which each load waits while it is shut."""

    def __init__(self, stack: ExitStack, superuser: str) -> None:
        self.store = FakeObjectStore()
        self.open = threading.Event()
        self.open.set()
        self.loads: list[list[str]] = []
        statements = Statements(prepare(superuser), self.read, before=self._before)
        self.server = DataApiServer(statements, user_of_secret=self._user)
        self.client = client("redshift-data", stack.enter_context(self.server.serving()))
        self.warehouse = self.another()

    def read(self, _: str, key: str) -> bytes:
        """What COPY reads."""
        return self.store.content(key)

    def another(self) -> RedshiftWarehouse:
        return RedshiftWarehouse(self._api("penstock_loader"), "arn:aws:iam::123456789012:role/copy", self.store)

    def dataset(self, **changes: Any) -> Dataset:
        dataset = dataset_of(**changes)
        RedshiftSchema(self._api("penstock_owner"), "penstock_loader").apply([dataset])
        return dataset

    def put(self, dataset: Dataset, name: str, rows: bytes, header: bytes = b"id,name,delay\n") -> Arrival:
        return self.store.put(f"incoming/{dataset.prefix}{name}", header + rows)

    def counts(self, dataset: Dataset) -> dict[str, int]:
        return dict(self.warehouse.rows_by_arrival(dataset))

    def copies(self) -> list[str]:
        """Every COPY of producers' files that was submitted."""
        return [text for load in self.loads for text in load if text.startswith("COPY") and "CSV" in text]

    def ends(self, dataset: Dataset, batch: Batch, progress: LoadProgress) -> None:
        while progress.running:
            progress = self.warehouse.poll(batch, dataset, progress.handle)

    def wait(self, progress: LoadProgress) -> Any:
        """Until the statement of the handle has ended."""
        return self.client.describe_statement(Id=progress.handle.split()[-1], WaitTimeSeconds=30)

    def _before(self, statement: Statement) -> None:
        texts = [part.sql for part in statement.parts]
        if texts[0].startswith("LOCK"):
            self.loads.append(texts)
            assert self.open.wait(30)

    def _user(self, secret: str) -> str:
        raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": secret}}, "GetSecretValue")

    def _api(self, user: str) -> DataApi:
        return DataApi(self.client, Endpoint("dev", cluster="local", db_user=user))


def batch_of(dataset: Dataset, *arrivals: Arrival) -> Batch:
    return Batch(0, dataset.name, arrivals)
