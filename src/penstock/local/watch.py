"""Where everything is, at one moment: files by dataset, live runs, and what waits to be tried again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from penstock.local.deployment import Deployment
from penstock.local.rhythm import Rhythm, rhythms
from penstock.model.arrivals import FAILED, INCOMING, PROCESSED, UNCLAIMED
from penstock.model.breakers import Breaker
from penstock.model.dataset_files import dataset_of
from penstock.model.datasets import Dataset
from penstock.ports import Attempt

BESIDE = (".reason.json", ".rejects.jsonl")
"""Endings of what settle writes beside a file that failed."""
MOST_KEYS = 200_000
"""Most keys that are counted below `processed/` and below `failed/`: 200 requests."""


@dataclass
class DatasetStatus:
    """`bytes` and `oldest` are of what lies in `incoming/`. Rows and documents: None where it has none."""

    name: str
    incoming: int = 0
    bytes: int = 0
    oldest: datetime | None = None
    processed: int = 0
    failed: int = 0
    rows: int | None = None
    documents: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "oldest": self.oldest.isoformat() if self.oldest else None}


@dataclass(frozen=True)
class Status:
    datasets: Mapping[str, DatasetStatus]
    running: Sequence[str] = ()
    """Ids of the runs whose executions are RUNNING, the newest first."""
    waiting: Sequence[Attempt] = ()
    """Files that were put back and are not due yet."""
    breakers: Sequence[Breaker] = ()
    """Of the destinations that are down."""
    rhythms: Sequence[Rhythm] = ()
    """What listings remember of datasets that gather, have a pace, or expect files."""
    cut: bool = False
    """Whether there were more settled files than are counted."""
    notes: Sequence[str] = field(default=())
    """What could not be asked, and why."""

    @property
    def incoming(self) -> int:
        return sum(status.incoming for status in self.datasets.values())

    @property
    def at_rest(self) -> bool:
        """Nothing is left to do and nothing is going on."""
        return not self.incoming and not self.running


def observe(deployment: Deployment, datasets: Mapping[str, Dataset], counts: Counts | None = None) -> Status:
    """Asks S3, Step Functions, DynamoDB, the warehouse and the index, in that order; what is down becomes a note.

    `incoming/` is listed before the runs: a file that a run settles in between is seen once more, never not at all.
    """
    found = {name: DatasetStatus(name) for name in datasets}
    for arrival in deployment.store.arrivals(INCOMING):
        dataset = dataset_of(datasets, arrival.key)
        status = found.setdefault(dataset.name if dataset else UNCLAIMED, DatasetStatus(UNCLAIMED))
        status.incoming += 1
        status.bytes += arrival.size
        status.oldest = min(status.oldest or arrival.modified, arrival.modified)
    running = list(running_runs(deployment))
    cut = False
    for root, attribute in ((PROCESSED, "processed"), (FAILED, "failed")):
        keys = list(islice(deployment.store.keys(root), MOST_KEYS + 1))
        cut = cut or len(keys) > MOST_KEYS
        for key in keys[:MOST_KEYS]:
            if not key.endswith(BESIDE):
                name = key.removeprefix(root).partition("/")[0]
                status = found.setdefault(name, DatasetStatus(name))
                setattr(status, attribute, getattr(status, attribute) + 1)
    notes = (counts or Counts(deployment)).fill(found, datasets)
    waiting, breakers = deployment.leases.waiting(), deployment.leases.breakers()
    remembered = list(rhythms(datasets, deployment.leases.memos(), datetime.now(UTC)))
    return Status(found, running, list(waiting.values()), list(breakers.values()), remembered, cut, notes)


def running_runs(deployment: Deployment) -> Iterator[str]:
    """Of ingest, and backfills."""
    pages = deployment.client("stepfunctions").get_paginator("list_executions")
    for machine in filter(None, (deployment.machine, deployment.outputs.get("BackfillStateMachineArn"))):
        for page in pages.paginate(stateMachineArn=machine, statusFilter="RUNNING"):
            for execution in page["executions"]:
                yield execution["name"]


class Counts:
    """Rows and documents per dataset; keeps its connection, since a watched screen asks twice a second."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._connection: Any = None

    def fill(self, found: Mapping[str, DatasetStatus], datasets: Mapping[str, Dataset]) -> list[str]:
        """Fills in rows and documents; what could not be asked, in words."""
        notes: list[str] = []
        for fill, what in ((self._rows, "rows"), (self._documents, "documents")):
            try:
                fill(found, datasets)
            except Exception as error:  # noqa: BLE001 - a destination that is down must not hide the files' state
                self._connection = None
                notes.append(f"no {what}: {str(error).splitlines()[0]}")
        return notes

    def _rows(self, found: Mapping[str, DatasetStatus], datasets: Mapping[str, Dataset]) -> None:
        tables = {dataset.name: dataset.table.qualified for dataset in datasets.values() if dataset.table}
        if not tables:
            return
        if api := self._deployment.redshift("loader"):
            sums = dict(api.query(LOADED_ROWS, "add up the load ledger"))
        else:
            sums = self._sums()
        for name, target in tables.items():
            found[name].rows = int(sums.get(target, 0))

    def _sums(self) -> dict[str, Any]:
        if not (conninfo := self._deployment.conninfo("loader")):
            return {}
        import psycopg

        if self._connection is None:
            self._connection = psycopg.connect(conninfo, autocommit=True, connect_timeout=5)
        return dict(self._connection.execute(LOADED_ROWS).fetchall())

    def _documents(self, found: Mapping[str, DatasetStatus], datasets: Mapping[str, Dataset]) -> None:
        for name, documents in self.documents(datasets).items():
            found[name].documents = documents

    def documents(self, datasets: Mapping[str, Dataset]) -> dict[str, int]:
        search = self._deployment.search
        indexes = {dataset.name: dataset.index.name for dataset in datasets.values() if dataset.index}
        return {name: search.count(index) for name, index in indexes.items()} if search else {}


class LatestCounts(Counts):
    """Counts that nobody waits for: an index that is being filled takes seconds to say how much it holds.

    Documents are those of the last answer; the next is asked for when that has come. Ends with `close`.
    """

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(deployment)
        self._asking = ThreadPoolExecutor(1)
        self._asked: Future[dict[str, int]] | None = None
        self._latest: dict[str, int] = {}

    def documents(self, datasets: Mapping[str, Dataset]) -> dict[str, int]:
        if self._asked is None or self._asked.done():
            if self._asked is not None:
                self._latest = self._asked.result()
            self._asked = self._asking.submit(super().documents, datasets)
        return self._latest

    def close(self) -> None:
        self._asking.shutdown()
        if self._connection is not None:
            self._connection.close()


LOADED_ROWS = """
    SELECT target, sum("rows") FROM penstock.load WHERE verdict = 'loaded' AND replaced_by IS NULL GROUP BY target
"""
"""What the load ledger says of each table: a sum over files, where counting a table would read all of it. A table that
a replay builds or has put aside has a ledger of its own."""
