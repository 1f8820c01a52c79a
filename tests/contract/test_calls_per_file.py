"""What a file costs in requests, counted at the real adapters; docs/costs.md states these numbers."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from tests.contract.engines import client
from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.runs import FakeRuns
from tests.fakes.search_index import FakeSearchIndex
from tests.fakes.warehouse import FakeWarehouse

from penstock.adapters.dynamodb import DynamoLeases
from penstock.adapters.s3 import S3ObjectStore
from penstock.flows.decide_batch import Destinations
from penstock.flows.index_batch import index_batch
from penstock.flows.list_incoming import list_incoming
from penstock.flows.load_batch import begin_load
from penstock.flows.settle_batch import settle_batch
from penstock.flows.start_run import Limits
from penstock.flows.summarise_run import summarise_run
from penstock.local.cost import Work, requests
from penstock.local.forecast import documents_of
from penstock.model.datasets import Dataset

THINGS = Dataset.model_validate(
    {
        "name": "things",
        "prefix": "things/",
        "format": "csv",
        "columns": [{"name": "id", "type": "integer"}],
        "table": "things",
        "index": "things",
        "batch": {"max_files": 30},
    }
)
DATASETS = {"things": THINGS}
LIMITS = Limits(1000, 10**9, timedelta(hours=1))
DONE = {"status": "done"}


@dataclass
class Counted:
    """The functions on the real adapters, and every request that they make."""

    endpoint: str
    bucket: str
    table: str
    clock: FakeClock = field(default_factory=FakeClock)
    calls: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.s3, dynamodb = (self._client(service) for service in ("s3", "dynamodb"))
        self.store = S3ObjectStore(self.s3, self.bucket)
        self.leases = DynamoLeases(dynamodb, self.table)
        self.runs = FakeRuns()

    def _client(self, service: str) -> Any:
        made = client(service, self.endpoint)
        made.meta.events.register("before-call", lambda model, **_: self.calls.update([f"{service} {model.name}"]))
        return made

    def put(self, keys: list[str]) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"id\n1\n"), keys))
        self.calls.clear()

    def look(self) -> tuple[str, ...]:
        listed = list_incoming(self.store, self.leases, self.runs, self.clock, DATASETS, LIMITS, "a listing")
        return listed.plans

    def run(self) -> int:
        """Until all of a run's files are settled and it is known to be over; its batches."""
        (plan,) = self.look()
        warehouse, search = FakeWarehouse(), FakeSearchIndex()
        to = Destinations(warehouse, search)
        batches = dict(self.runs.started)[plan]
        for batch in range(batches):
            begin_load(self.store, warehouse, DATASETS, plan, batch)
            index_batch(plan, batch, self.store, warehouse, search, DATASETS, self.clock)
            settle_batch(self.store, self.leases, to, self.clock, DATASETS, plan, batch, DONE, DONE, 5)
        summarise_run(self.store, DATASETS, plan)
        self.runs.finish(plan)
        self.look()
        return batches


@pytest.fixture
def counted(aws: str, bucket: str, table: str) -> Counted:
    return Counted(aws, bucket, table)


def test_a_file_costs_two_reads_and_a_copy_and_nothing_in_dynamodb(counted: Counted) -> None:
    counts = []
    for files in (10, 30):
        counted.put([f"incoming/things/{files}-{number}.csv" for number in range(files)])
        counted.run()
        counts.append(Counter(counted.calls))

    few, many = counts
    per_file = {call: (many[call] - few[call]) / 20 for call in many if many[call] != few[call]}
    assert per_file == {"s3 GetObject": 2, "s3 CopyObject": 1}
    print({call: few[call] - 10 * per_file.get(call, 0) for call in few})  # noqa: T201 - what a run costs beside


@pytest.mark.parametrize("files", [7, 65])
def test_what_costs_are_computed_from_is_what_is_called(counted: Counted, files: int) -> None:
    counted.put([f"incoming/things/{number}.csv" for number in range(files)])

    batches = counted.run()

    calls = counted.calls
    told = requests(
        Work(
            files=0,  # Whoever puts them pays for that.
            moved=files,
            opened=2 * files,
            runs=1,
            batches=batches,
            listings=2,
            documents_written=documents_of(runs=1, batches=batches),
            invocations=0,
            gb_seconds=0,
            transitions=0,
        )
    )
    assert batches == -(-files // THINGS.batch.max_files)
    # What the run is recorded by is in an index while it is live: put into it and taken out, two writes more.
    writes = calls["dynamodb UpdateItem"] + calls["dynamodb PutItem"] + 2 * 2 * calls["dynamodb TransactWriteItems"] + 2
    assert told == {
        **dict.fromkeys(told, 0),
        "s3_put": calls["s3 PutObject"],
        "s3_copy": calls["s3 CopyObject"],
        "s3_get": calls["s3 GetObject"],
        "s3_list": calls["s3 ListObjectVersions"],
        "dynamodb_write": writes,
        "dynamodb_read": calls["dynamodb Query"] + calls["dynamodb GetItem"],
        "sqs_request": 2 * 2,
        "sns_publish": 1,
    }


def test_a_listing_asks_s3_for_nothing_but_what_is_incoming(counted: Counted) -> None:
    asked: list[dict[str, str]] = []
    counted.s3.meta.events.register(
        "before-call.s3.ListObjectVersions", lambda params, **_: asked.append(params["query_string"])
    )
    counted.put(["incoming/things/a.csv"])

    counted.run()

    assert {query["prefix"] for query in asked} == {"incoming/"}


def test_a_listing_costs_the_same_whatever_was_settled() -> None:
    with_none, with_many = (_calls_of_a_listing(settled) for settled in (0, 10_000))

    assert with_many == with_none
    assert {call for call in with_many if call.startswith(("arrivals", "keys"))} == {"arrivals incoming/"}


def _calls_of_a_listing(settled: int) -> Counter[str]:
    store, calls = FakeObjectStore(), Counter[str]()
    for number in range(settled):
        store.put(f"{('processed', 'failed')[number % 2]}/things/{number}.csv", b"id\n1\n")
    store.put("incoming/things/a.csv", b"id\n1\n")
    store_, leases, runs = [_CountedPort(port, calls) for port in (store, FakeLeases(), FakeRuns())]
    assert list_incoming(store_, leases, runs, FakeClock(), DATASETS, LIMITS, "a listing").plans
    return calls


class _CountedPort:
    """Any port. A call that asks for a prefix is counted by it."""

    def __init__(self, port: Any, calls: Counter[str]) -> None:
        self._port = port
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any) -> Any:
            self._calls[f"{name} {given[0]}" if name in ("arrivals", "keys") else name] += 1
            return getattr(self._port, name)(*given)

        return call
