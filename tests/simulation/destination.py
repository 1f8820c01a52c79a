"""The plant that is controlled: a warehouse with so many connections, which slows down when many load at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeases
from tests.fakes.runs import FakeRuns
from tests.simulation.landing import Landing

from penstock.flows.plan_of import read_plan
from penstock.flows.summarise_run import summarise_run
from penstock.model.breakers import tripped
from penstock.model.errors import WAREHOUSE
from penstock.model.outcomes import SettledArrival, SettledBatch, Settlement
from penstock.model.plans import Batch, Plan, settled_batch_key

SECONDS_A_FILE = 3.0
AT_FULL_SPEED = 4
"""So many loads at once go as fast as one; more share what there is."""
FILES_A_SECOND = AT_FULL_SPEED / SECONDS_A_FILE


@dataclass
class Destination:
    """Works the batches of runs, `parallel` of a run at once, and settles them; in an outage it refuses them."""

    clock: FakeClock
    landing: Landing
    leases: FakeLeases
    runs: FakeRuns
    parallel: int
    later: Callable[[timedelta, Callable[[], None]], None]
    outages: list[tuple[datetime, datetime]]
    slow: list[tuple[datetime, datetime, float]]
    connections: int = 0
    most_connections: int = 0
    worked: dict[str, datetime] = field(default_factory=dict)
    """When each key was settled."""

    def start(self, run: str) -> None:
        plan = read_plan(self.landing, run)
        waiting = deque(plan.batches)
        left = [len(plan.batches)]
        for _ in range(min(self.parallel, len(waiting))):
            self._load(plan, waiting, left)

    def _load(self, plan: Plan, waiting: deque[Batch], left: list[int]) -> None:
        batch = waiting.popleft()
        self.connections += 1
        self.most_connections = max(self.most_connections, self.connections)
        down = self._is_down()
        seconds = 5.0 if down else 1 + SECONDS_A_FILE * len(batch.arrivals) * self._slowness()
        self.later(timedelta(seconds=seconds), lambda: self._settle(plan, batch, waiting, left, down))

    def _settle(self, plan: Plan, batch: Batch, waiting: deque[Batch], left: list[int], down: bool) -> None:
        self.connections -= 1
        left[0] -= 1
        if down:
            standing = self.leases.breakers().get(WAREHOUSE)
            self.leases.open_breaker(tripped(standing, WAREHOUSE, plan.id, self.clock.now(), "connection refused"))
        else:
            self.leases.close_breaker(WAREHOUSE)
            self.landing.settle(batch.arrivals)
            self.worked.update((arrival.key, self.clock.now()) for arrival in batch.arrivals)
        went = Settlement.PUT_BACK if down else Settlement.PROCESSED
        settled = tuple(SettledArrival(arrival.id, arrival.key, went) for arrival in batch.arrivals)
        document = SettledBatch(plan.id, batch.number, batch.dataset, settled).to_json()
        self.landing.put_json(settled_batch_key(plan.id, batch.number), document)
        if waiting:
            self._load(plan, waiting, left)
        elif not left[0]:
            summarise_run(self.landing, {}, plan.id)
            self.runs.finish(plan.id)

    def _is_down(self) -> bool:
        return any(begin <= self.clock.now() < end for begin, end in self.outages)

    def _slowness(self) -> float:
        now = self.clock.now()
        factor = next((by for begin, end, by in self.slow if begin <= now < end), 1.0)
        return factor * max(1.0, self.connections / AT_FULL_SPEED)
