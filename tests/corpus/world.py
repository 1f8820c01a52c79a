"""Every file of the corpus through the steps of a real run, with PostgreSQL and the embedded index at its ends."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from tenacity import wait_none
from tests.conftest import Postgres
from tests.corpus.case import Case
from tests.corpus.datasets import DATASETS, GOOD
from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.search_server import embedded_search

from penstock.adapters.opensearch import OpenSearchIndex
from penstock.adapters.opensearch_bulk import Bulk
from penstock.adapters.opensearch_client import make_client
from penstock.adapters.postgres import PostgresSchema, PostgresWarehouse
from penstock.flows.index_batch import index_batch
from penstock.flows.load_batch import begin_load
from penstock.flows.settle_batch import Destinations, settle_batch
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.outcomes import SettledArrival, SettledBatch
from penstock.model.plans import Batch, Plan, plan_key, settled_batch_key


@dataclass(frozen=True)
class Found:
    """What became of one file: where it is settled, what stands beside it, its rows and its documents."""

    arrival: Arrival
    settled: SettledArrival
    bytes: bytes
    reason: dict[str, Any]
    rejects: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    """Of a dataset without a table what its documents hold."""
    documents: list[dict[str, Any]]
    """Each with its `_id`."""


class World:
    def __init__(self, postgres: Postgres, search: OpenSearchIndex) -> None:
        self._owner = postgres.owner
        self._search = search
        self._warehouse = PostgresWarehouse(postgres.loader)
        self._store = FakeObjectStore()
        self._clock = FakeClock()
        self._count = 0
        PostgresSchema(postgres.owner).apply(list(DATASETS.values()))
        for dataset in DATASETS.values():
            search.apply(dataset)

    def put(self, dataset: str, key: str, data: bytes) -> Arrival:
        return self._store.put(f"incoming/{DATASETS[dataset].prefix}{key}", data)

    def run(self, dataset: Dataset, arrivals: Iterable[Arrival]) -> dict[str, Found]:
        """One batch, from its load to its settling; what became of each arrival, by id."""
        self._count += 1
        plan = f"20260115T10{self._count:04d}"
        batch = Batch(0, dataset.name, tuple(arrivals))
        self._store.put_json(plan_key(plan), Plan(plan, self._clock.now(), (batch,)).to_json())
        datasets = {dataset.name: dataset}
        warehouse = self._warehouse if dataset.table else None
        loaded = begin_load(self._store, warehouse, datasets, plan, 0)
        indexed = index_batch(plan, 0, self._store, warehouse, self._search, datasets, self._clock)
        settle_batch(
            self._store,
            FakeLeases(),
            Destinations(warehouse, self._search),
            self._clock,
            datasets,
            plan,
            0,
            loaded,
            indexed,
            5,
        )
        settled = SettledBatch.from_json(self._store.get_json(settled_batch_key(plan, 0)))
        by_id = {one.arrival: one for one in settled.arrivals}
        rows = self._rows(dataset)
        documents = self._documents(dataset)
        return {
            arrival.id: self._found(arrival, by_id[arrival.id], rows.get(arrival.id, []), documents.get(arrival.id, []))
            for arrival in batch.arrivals
        }

    def close(self) -> None:
        self._warehouse.close()

    def _found(self, arrival: Arrival, settled: SettledArrival, rows: list[Any], documents: list[Any]) -> Found:
        beside = {key: data for key, data in self._store.everything("failed/").items() if arrival.id in key}
        reasons = [orjson.loads(data) for key, data in beside.items() if key.endswith(".reason.json")]
        lines = [data for key, data in beside.items() if key.endswith(".rejects.jsonl")]
        return Found(
            arrival=arrival,
            settled=settled,
            bytes=self._store.content(settled.settled_key) if settled.settled_key else b"",
            reason=reasons[0] if reasons else {},
            rejects=[orjson.loads(line) for data in lines for line in data.splitlines()],
            rows=rows,
            documents=documents,
        )

    def _rows(self, dataset: Dataset) -> dict[str, list[dict[str, Any]]]:
        if dataset.table is None:
            return self._documents(dataset)
        found: dict[str, list[dict[str, Any]]] = {}
        with psycopg.connect(self._owner, row_factory=dict_row) as connection:
            rows = connection.execute(
                sql.SQL(
                    "SELECT penstock_arrival::text AS arrival, to_jsonb(t)::text AS row FROM {} AS t ORDER BY ctid"
                ).format(sql.Identifier(dataset.table.schema_name, dataset.table.name))
            )
            for row in rows:
                found.setdefault(row["arrival"].replace("-", ""), []).append(
                    json.loads(row["row"], parse_float=str, parse_int=str)
                )
        return found

    def _documents(self, dataset: Dataset) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        assert dataset.index is not None
        self._search.count(dataset.index.name)
        for hit in self._search.search(dataset.index.name, "", 10_000):
            source = hit["_source"]
            found.setdefault(source["penstock_arrival"], []).append({"_id": hit["_id"], **source})
        return found


@contextmanager
def world(postgres: Postgres) -> Iterator[World]:
    with embedded_search() as (url, _), make_client(url, "none") as client:
        made = World(postgres, OpenSearchIndex(client, Bulk(client, attempts=3, wait=wait_none())))
        try:
            yield made
        finally:
            made.close()


def run_all(world: World, cases: Iterable[Case]) -> tuple[dict[str, Found], list[Found]]:
    """What became of each case, by its name, and of the good files that stood among them."""
    by_dataset: dict[str, list[Case]] = {}
    for case in cases:
        by_dataset.setdefault(case.dataset, []).append(case)
    found: dict[str, Found] = {}
    neighbours: list[Found] = []
    for name, some in by_dataset.items():
        arrivals: list[Arrival] = []
        names: dict[str, str] = {}
        for number, case in enumerate(some):
            arrivals.append(world.put(name, f"good-{number}", GOOD[name]))
            arrival = world.put(name, case.key or f"{number}", case.data)
            names[arrival.id] = case.what
            arrivals.append(arrival)
        arrivals.append(world.put(name, "good-last", GOOD[name]))
        for id_, one in world.run(DATASETS[name], arrivals).items():
            if id_ in names:
                found[names[id_]] = one
            else:
                neighbours.append(one)
    return found, neighbours
