"""A load that Step Functions has given up on and that goes on all the same, against the real load ledger.

Its worker is a thread with a connection of its own, held where the test wants it while the batch is settled.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from tests.conftest import Postgres
from tests.contract.warehouses import PostgresKit, dataset_of
from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore

from penstock.flows.decide_batch import Destinations
from penstock.flows.load_batch import begin_load
from penstock.flows.settle_batch import settle_batch
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.outcomes import SettledBatch, Settlement
from penstock.model.plans import Batch, Plan, plan_key, settled_batch_key
from penstock.model.streams import ByteStream
from penstock.ports import ObjectStore

GIVEN_UP = {"status": "failed", "error": "Sandbox.Timedout", "cause": "Task timed out after 900.00 seconds"}
DONE = {"status": "done"}
MOST = 3


class _Held:
    """The store as the zombie sees it: it stops where `at` says, until it is let go."""

    def __init__(self, store: FakeObjectStore, at: str) -> None:
        self._store = store
        self._at = at
        self.reached = threading.Event()
        self.let_go = threading.Event()
        self.dies = False

    def get_json(self, key: str) -> Any:
        self._stop("before its first statement")
        return self._store.get_json(key)

    @contextmanager
    def open(self, arrival: Arrival) -> Iterator[ByteStream]:
        with self._store.open(arrival) as stream:
            self._stop("in its transaction")
            yield stream

    def _stop(self, here: str) -> None:
        if here == self._at:
            self.reached.set()
            assert self.let_go.wait(30)
            if self.dies:
                raise ConnectionAbortedError

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@dataclass
class World:
    kit: PostgresKit
    superuser: str
    dataset: Dataset = field(default_factory=dataset_of)
    store: FakeObjectStore = field(default_factory=FakeObjectStore)
    leases: FakeLeases = field(default_factory=FakeLeases)
    clock: FakeClock = field(default_factory=FakeClock)
    plans: int = 0

    def arrive(self) -> Arrival:
        return self.store.put(f"incoming/{self.dataset.prefix}a.csv", b"id,name,delay\n1,one,1\n2,two,2\n")

    def plan(self, arrival: Arrival) -> str:
        self.plans += 1
        plan = f"run-{self.plans}"
        document = Plan(plan, self.clock.now(), (Batch(0, self.dataset.name, (arrival,)),)).to_json()
        self.store.put_json(plan_key(plan), document)
        return plan

    def load(self, plan: str, store: ObjectStore | None = None) -> dict[str, str]:
        datasets = {self.dataset.name: self.dataset}
        return begin_load(store or self.store, self.kit.another(), datasets, plan, 0)

    def settle(self, plan: str, load: dict[str, str]) -> Settlement:
        to = Destinations(self.kit.warehouse, None)
        datasets = {self.dataset.name: self.dataset}
        settle_batch(self.store, self.leases, to, self.clock, datasets, plan, 0, load, DONE, MOST)
        (settled,) = SettledBatch.from_json(self.store.get_json(settled_batch_key(plan, 0))).arrivals
        return settled.settlement

    def use_up_all_attempts_but_one(self, arrival: Arrival) -> None:
        for _ in range(MOST - 1):
            assert self.settle(self.plan(arrival), GIVEN_UP) is Settlement.PUT_BACK

    @contextmanager
    def zombie(self, plan: str, at: str) -> Iterator[tuple[_Held, Future[dict[str, str]]]]:
        held = _Held(self.store, at)
        with ThreadPoolExecutor(1) as worker:
            try:
                load = worker.submit(self.load, plan, held)
                assert held.reached.wait(30)
                yield held, load
            finally:
                held.let_go.set()

    def until_someone_waits_for_the_zombie(self) -> None:
        deadline = time.monotonic() + 20
        with psycopg.connect(self.superuser, autocommit=True) as connection:
            while connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
                assert time.monotonic() < deadline

    def rows(self) -> list[Any]:
        return [row[0] for row in self.kit.rows(self.dataset)]


@pytest.fixture
def world(postgres: Postgres) -> Iterator[World]:
    kit = PostgresKit(postgres.owner, postgres.loader)
    made = World(kit, postgres.superuser)
    kit.apply(made.dataset)
    yield made
    kit.close()


def test_a_zombie_that_commits_after_its_file_was_put_back_has_loaded_it_once_and_the_next_run_says_so(
    world: World,
) -> None:
    arrival = world.arrive()
    plan = world.plan(arrival)
    with world.zombie(plan, "in its transaction") as (held, load):
        put_back = world.settle(plan, GIVEN_UP)
        held.let_go.set()
        load.result(30)

    again = world.plan(arrival)
    later = world.settle(again, world.load(again))

    assert (put_back, later) == (Settlement.PUT_BACK, Settlement.PROCESSED)
    assert world.rows() == [1, 2]
    assert world.leases.waiting() == {}


def test_a_zombie_beside_the_next_runs_load_of_the_same_file_is_waited_for_and_the_file_loaded_once(
    world: World,
) -> None:
    arrival = world.arrive()
    plan = world.plan(arrival)
    with world.zombie(plan, "in its transaction") as (held, load), ThreadPoolExecutor(1) as next_run:
        world.settle(plan, GIVEN_UP)
        again = world.plan(arrival)
        second = next_run.submit(world.load, again)
        world.until_someone_waits_for_the_zombie()
        held.let_go.set()
        load.result(30)
        settled = world.settle(again, second.result(30))

    assert settled is Settlement.PROCESSED
    assert world.rows() == [1, 2]


def test_a_zombie_that_begins_after_its_file_was_quarantined_loads_nothing(world: World) -> None:
    arrival = world.arrive()
    world.use_up_all_attempts_but_one(arrival)
    plan = world.plan(arrival)
    with world.zombie(plan, "before its first statement") as (held, load):
        settled = world.settle(plan, GIVEN_UP)
        held.let_go.set()
        load.result(30)

    assert settled is Settlement.FAILED
    assert world.rows() == []
    assert [key for key in world.store.keys("failed/") if key.endswith(".csv")]
    assert list(world.store.keys("processed/")) == []


def test_a_quarantine_waits_for_a_zombie_in_its_transaction_and_follows_what_that_commits(world: World) -> None:
    arrival = world.arrive()
    world.use_up_all_attempts_but_one(arrival)
    plan = world.plan(arrival)
    with world.zombie(plan, "in its transaction") as (held, load), ThreadPoolExecutor(1) as settling:
        settled = settling.submit(world.settle, plan, GIVEN_UP)
        world.until_someone_waits_for_the_zombie()
        held.let_go.set()
        load.result(30)
        end = settled.result(30)

    assert end is Settlement.PROCESSED
    assert world.rows() == [1, 2]
    assert list(world.store.keys("failed/")) == []


def test_a_quarantine_that_waited_for_a_zombie_that_died_stands(world: World) -> None:
    arrival = world.arrive()
    world.use_up_all_attempts_but_one(arrival)
    plan = world.plan(arrival)
    with world.zombie(plan, "in its transaction") as (held, load), ThreadPoolExecutor(1) as settling:
        settled = settling.submit(world.settle, plan, GIVEN_UP)
        world.until_someone_waits_for_the_zombie()
        held.dies = True
        held.let_go.set()
        assert isinstance(load.exception(30), ConnectionAbortedError)
        end = settled.result(30)

    assert end is Settlement.FAILED
    assert world.rows() == []
