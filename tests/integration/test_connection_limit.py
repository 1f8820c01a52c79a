"""More workers than the role may connect: some are turned away, the breaker says so, and nothing is lost or doubled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
import pytest
from tests.conftest import Postgres
from tests.contract.warehouses import PostgresKit, dataset_of
from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.integration.processes import eventually

from penstock.flows.decide_batch import Destinations
from penstock.flows.load_batch import begin_load
from penstock.flows.settle_batch import settle_batch
from penstock.model.errors import DestinationDownError
from penstock.model.plans import Batch, Plan, plan_key

MOST = 2
WORKERS = 8


@pytest.fixture(params=["postgres", "postgres_15"])
def limited(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """The loader may connect MOST times."""
    found: Postgres = request.getfixturevalue(request.param)
    with psycopg.connect(found.superuser, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE penstock_loader CONNECTION LIMIT {MOST}".encode())
        try:
            yield found
        finally:
            connection.execute("ALTER ROLE penstock_loader CONNECTION LIMIT -1")


def test_what_the_server_turns_away_waits_and_is_loaded_once(limited: Postgres) -> None:
    kit, store, leases, clock = PostgresKit(limited.owner, limited.loader), FakeObjectStore(), FakeLeases(), FakeClock()
    dataset = dataset_of()
    kit.apply(dataset)
    datasets = {dataset.name: dataset}
    files = [
        store.put(f"incoming/{dataset.prefix}{number}.csv", f"id,name,delay\n{number},n,1\n".encode())
        for number in range(WORKERS)
    ]
    batches = tuple(Batch(number, dataset.name, (file,)) for number, file in enumerate(files))
    store.put_json(plan_key("p"), Plan("p", clock.now(), batches).to_json())
    workers = [kit.another() for _ in files]  # Each keeps its connection, as a Lambda does.

    def load(number: int) -> str:
        try:
            return begin_load(store, workers[number], datasets, "p", number)["status"]
        except DestinationDownError:
            return "turned away"

    def loaded(number: int) -> bool:
        return load(number) == "done"

    with ThreadPoolExecutor(WORKERS) as pool:
        said = list(pool.map(load, range(WORKERS)))
    assert Counter(said) == {"done": MOST, "turned away": WORKERS - MOST}

    away = said.index("turned away")
    outcome = {"status": "failed", "error": "TransientError", "cause": "the load was turned away"}
    to = Destinations(workers[away], None)
    counts = settle_batch(store, leases, to, clock, datasets, "p", away, outcome, {"status": "done"}, most_attempts=1)
    assert counts["put_back"] == 1
    assert "too many connections" in leases.breakers()["warehouse"].reason
    assert leases.waiting() == {}  # No attempt is counted: it is no file's fault.

    for number, status in enumerate(said):
        if status == "done":
            workers[number].close()
    for number, status in enumerate(said):
        if status != "done":
            assert eventually(partial(loaded, number))  # A closed connection's backend is counted until it has gone.
            workers[number].close()
    kit.close()
    assert sorted(row[0] for row in kit.rows(dataset)) == list(range(WORKERS))
