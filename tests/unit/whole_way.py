"""From listing to settling, run after run, on ports in memory and a virtual clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.fakes.object_store import FakeObjectStore
from tests.fakes.search_index import FakeSearchIndex
from tests.fakes.warehouse import FakeWarehouse
from tests.unit.listing import Lister
from tests.unit.listing import dataset as listed

from penstock.flows.decide_batch import Destinations
from penstock.flows.index_batch import index_batch
from penstock.flows.load_batch import begin_load
from penstock.flows.plan_of import read_plan
from penstock.flows.settle_batch import settle_batch
from penstock.flows.start_run import Limits
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.errors import TransientError
from penstock.ports import Move, RunStatus

MOST = 5
GOOD = b"id\n1\n"
MINUTE = timedelta(minutes=1)


class WorkerDiedError(Exception):
    """What a worker that was killed leaves: nothing but that it is gone."""


def dataset(name: str, **changes: Any) -> Dataset:
    return listed(name, **{"batch": {"max_files": 50}, **changes})


class Deadly:
    """A store: who writes a key that ends so is killed, as one whose memory or time ends just there."""

    def __init__(self, store: FakeObjectStore, ending: str) -> None:
        self._store = store
        self._ending = ending

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put_lines(self, key: str, lines: Any) -> None:
        self._look(key)
        self._store.put_lines(key, lines)

    def move(self, moves: Sequence[Move]) -> Any:
        for move in moves:
            self._look(move.to)
        return self._store.move(moves)

    def _look(self, key: str) -> None:
        if key.endswith(self._ending):
            raise WorkerDiedError


@dataclass
class WholeWay(Lister):
    """`kills` says of which arrival a worker dies. Each run is worked at once, as its state machine would."""

    datasets: dict[str, Dataset] = field(default_factory=lambda: {"flights": dataset("flights")})
    limits: Limits = field(default_factory=lambda: Limits(1000, 10**9, timedelta(hours=1)))
    warehouse: FakeWarehouse = field(default_factory=FakeWarehouse)
    search: FakeSearchIndex = field(default_factory=FakeSearchIndex)
    kills: Callable[[Arrival], bool] = lambda _: False
    kills_settling: str = "nothing"
    """What a key ends in that settling dies of when it writes it."""
    planned: list[tuple[datetime, int]] = field(default_factory=list)
    """When each run was planned, and its files."""

    def put(self, key: str, content: bytes = GOOD) -> Arrival:
        return self.store.put(f"incoming/{key}", content)

    def tick(self) -> None:
        """A listing, and all that it leads to: each run that ends asks for another listing."""
        for _ in range(20):
            listing = self.look()
            for plan in listing.plans:
                self.runs.finish(plan, self._run(plan))
            if not listing.plans:
                return
        raise AssertionError("one run starts the next, without an end")

    def pass_time(self, minutes: int) -> None:
        for _ in range(minutes):
            self.tick()
            self.clock.advance(MINUTE)

    def _run(self, plan: str) -> RunStatus:
        status = RunStatus.SUCCEEDED
        batches = read_plan(self.store, plan).batches
        self.planned.append((self.clock.now(), sum(len(batch.arrivals) for batch in batches)))
        for batch in batches:
            crashes = any(self.kills(arrival) for arrival in batch.arrivals)

            def load(number: int = batch.number, crashes: bool = crashes) -> object:
                if crashes:
                    raise WorkerDiedError
                return begin_load(self.store, self.warehouse, self.datasets, plan, number)

            def index(number: int = batch.number) -> object:
                return index_batch(
                    plan, number, self.store, self.warehouse, self.search, self.datasets, self.clock, load_ended=True
                )

            outcomes = _outcome(load), _outcome(index)
            to = Destinations(self.warehouse, self.search)
            store = Deadly(self.store, self.kills_settling)
            given = (store, self.leases, to, self.clock, self.datasets, plan, batch.number, *outcomes, MOST)
            try:
                settle_batch(*given)
            except WorkerDiedError:
                status = RunStatus.FAILED
        return status

    @property
    def left(self) -> list[str]:
        return [arrival.key for arrival in self.store.arrivals("incoming/")]


def _outcome(branch: Callable[[], object]) -> dict[str, str]:
    try:
        branch()
    except WorkerDiedError:
        return {"status": "failed", "error": "Runtime.ExitError", "cause": "signal: killed"}
    except TransientError as error:
        return {"status": "failed", "error": "TransientError", "cause": str(error)}
    return {"status": "done"}
