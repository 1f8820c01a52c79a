"""The system in one process: producers, events, listings, runs and their steps, and everything that befalls them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache, partial
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from tests.fakes.crashing import Crash
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.pipeline import FakePipeline
from tests.fakes.runs import FakeRuns
from tests.fakes.search_index import FakeSearchIndex
from tests.faults.schedules.choices import Choices
from tests.faults.schedules.producers import DATASETS, Producers
from tests.faults.schedules.run_model import Run
from tests.faults.schedules.scheduler import Scheduler, VirtualClock
from tests.faults.schedules.seams import Inline, Seam, SeamedLeases, SeamedSearch, SeamedStore
from tests.faults.schedules.warehouses import Bench

import penstock.flows
from penstock.flows.decide_batch import Destinations
from penstock.flows.index_batch import index_batch
from penstock.flows.kick_off import kick_off
from penstock.flows.list_incoming import list_incoming
from penstock.flows.load_batch import begin_load
from penstock.flows.plan_of import read_plan
from penstock.flows.settle_batch import settle_batch
from penstock.flows.start_run import Limits
from penstock.flows.summarise_run import summarise_run
from penstock.model.arrivals import INCOMING, Arrival
from penstock.model.errors import PenstockError
from penstock.model.outcomes import SettledBatch, Settlement
from penstock.model.plans import Plan, plan_key, plan_of_run, settled_batch_key, summary_key
from penstock.ports import Attempt, ListingLease, RunRecord, RunStatus

LIMITS = Limits(files=4, bytes=400, run=timedelta(hours=1))
MOST_ATTEMPTS = 4
OUTAGES = (20.0, 200.0, 1500.0)
LISTINGS_AT_ONCE = 3
ROUNDS = 40
"""Listings after the last fault until which all must be settled: a minute apart, and less than a lease's backstop."""


class ViolationError(AssertionError):
    """An invariant does not hold."""


class World:
    def __init__(self, choices: Choices, bench: Bench, *, tracing: bool = False) -> None:
        bench.fresh()
        self.bench = bench
        self.choices = choices
        self.scheduler = Scheduler(choices, tracing=tracing)
        self.seam = Seam(self.scheduler)
        self.clock = VirtualClock(self.scheduler)
        self.store = FakeObjectStore(at=self.clock.now())
        self.leases = _WatchedLeases(self.store)
        self.search = FakeSearchIndex(refuses=_refused)
        self.pipeline = FakePipeline()
        self.runs = _StartedRuns(self)
        self.producers = Producers(choices)
        self.puts: list[tuple[Arrival, bytes]] = []
        self.running: dict[str, Run] = {}
        self.violation: ViolationError | None = None
        """What was seen inside a step, where raising it would look like the step's own error."""
        self.aborted = 0
        self.outages = 0
        self._listings = 0

    @property
    def happened(self) -> int:
        """Faults: of calls, outages, and runs that were ended."""
        return self.seam.happened + self.outages + self.aborted

    # ── what befalls the system ─────────────────────────────────────────────────────────────────────────────────────

    def put(self, key: str, content: bytes, events: Sequence[float] = (0.0,)) -> Arrival:
        """`events` are the delays of the notifications that the PUT makes: none, one or two, in any order."""
        # No two at one moment: S3 tells the versions of a key apart by the second, and equal ones by their order alone.
        self.scheduler.now += 0.001
        arrival = self.store.put(key, content, modified=self.clock.now())
        self.puts.append((arrival, content))
        self.scheduler.note(f"PUT {key} {content!r} → {arrival.version_id} {arrival.id[:6]}")
        for delay in events:
            self._later(delay, self.listing)
        return arrival

    def listing(self) -> None:
        """An event or a tick: the lister is called, unless as many are at it as may be."""
        if sum(task.name.startswith("list_incoming") for task in self.scheduler.tasks) < LISTINGS_AT_ONCE:
            self._listings += 1
            self.scheduler.spawn("list_incoming", partial(self._list, f"request-{self._listings}"), 300)

    def abort(self, plan: str, status: RunStatus = RunStatus.ABORTED) -> None:
        """The execution ends; the Lambdas that it had called go on."""
        self.scheduler.note(f"RUN {plan} {status}")
        self.aborted += 1
        self.running.pop(plan).abort()
        self.ended(plan, status)

    def ended(self, plan: str, status: RunStatus) -> None:
        self.running.pop(plan, None)
        self.scheduler.note(f"run {plan} {status}")
        if status is RunStatus.SUCCEEDED:
            self._true_to_its_word(plan_of_run(plan)[0])
        self.runs.finish(plan, status)
        if status is not RunStatus.SUCCEEDED:
            self._later(1.0, self.listing)

    # ── the functions, as Lambdas ───────────────────────────────────────────────────────────────────────────────────

    def _list(self, owner: str) -> None:
        with self._ports() as (store, leases, _, _):
            runs = self.seam.through(self.runs, "runs")
            list_incoming(store, leases, runs, self.clock, DATASETS, LIMITS, owner)

    def begin_load(self, plan: str, batch: int) -> dict[str, Any]:
        with self._ports() as (store, _, warehouse, _):
            return _small(begin_load(store, warehouse, DATASETS, plan, batch))

    def index_batch(self, plan: str, batch: int, *, load_ended: bool = False) -> dict[str, Any]:
        with self._ports() as (store, _, warehouse, search):
            given = (store, warehouse, search, DATASETS, self.clock)
            return _small(index_batch(plan, batch, *given, load_ended=load_ended))

    def settle_batch(self, plan: str, batch: int, of_warehouse: Any, of_search: Any) -> dict[str, Any]:
        with self._ports() as (store, leases, warehouse, search):
            to = Destinations(warehouse, search)
            outcomes = (of_warehouse, of_search)
            return _small(settle_batch(store, leases, to, self.clock, DATASETS, plan, batch, *outcomes, MOST_ATTEMPTS))

    def summarise_run(self, plan: str) -> dict[str, Any]:
        with self._ports() as (store, _, _, _):
            return summarise_run(store, DATASETS, plan)

    def kick_off(self, plan: str, dataset: str) -> dict[str, Any]:
        with self._ports() as (_, leases, _, _):
            pipeline = self.seam.through(self.pipeline, "pipeline")
            return _small(kick_off(leases, lambda _: pipeline, DATASETS, plan, dataset))

    @contextmanager
    def _ports(self) -> Iterator[tuple[Any, Any, Any, Any]]:
        store = SeamedStore(self.seam, self.store)
        leases = SeamedLeases(self.seam, self.leases)
        search = SeamedSearch(self.seam, self.search)
        with self.bench.client(self.seam, store, self.store) as warehouse:
            try:
                yield store, leases, warehouse, search
            except (Crash, PenstockError, ViolationError):
                raise
            except Exception as error:
                raise ViolationError(f"a step let an exception through: {error!r}") from error

    # ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def work(self) -> None:
        """Until nothing runs and nothing waits."""
        while self.scheduler.tasks:
            if not self.turn() and not self.scheduler.skip():
                raise ViolationError(f"nothing will ever wake {[task.name for task in self.scheduler.tasks]}")

    def turn(self) -> bool:
        going = self.scheduler.turn()
        if violation := self.violation or self.leases.violation:
            raise violation
        return going

    def heal(self) -> None:
        """No more faults: everything runs on, with a listing now and then, until all is settled."""
        self.scheduler.note("HEALING")
        self.seam.faults = 0
        self.seam.down.clear()
        self.scheduler.switching = False
        for _ in range(ROUNDS):
            self.work()
            if not self.unsettled() and not self.leases.live_runs():
                return
            due = [attempt.not_before for attempt in self.leases.waiting().values()]
            due += [run.started for run in self.leases.live_runs()]
            now = self.clock.now()
            wait = min((one - now for one in due if one > now), default=timedelta(0))
            self.scheduler.now += max(60.0, wait.total_seconds())
            self.listing()
        raise ViolationError(f"stuck: after {ROUNDS} listings {[one.key for one in self.unsettled()]} are in incoming/")

    def _true_to_its_word(self, plan: str) -> None:
        """What a run that succeeded says has happened: invariant 1, and kickoffs at least once."""
        summary = self.store.get_json(summary_key(plan))
        for batch in read_plan(self.store, plan).batches:
            settled = SettledBatch.from_json(self.store.get_json(settled_batch_key(plan, batch.number)))
            moved = {one.arrival for one in settled.arrivals if one.settlement is not Settlement.PUT_BACK}
            for arrival in batch.arrivals:
                if arrival.id in moved and self.store._find(arrival):
                    self.violation = ViolationError(f"{arrival.key} is said to be settled, and is in incoming/")
        started = {(run, dataset) for run, dataset, _ in self.pipeline.started}
        for wanted in summary["kick_offs"]:
            if (wanted["plan"], wanted["dataset"]) not in started:
                self.violation = ViolationError(f"run {plan} succeeded and kicked nothing off for {wanted['dataset']}")

    def unsettled(self) -> list[Arrival]:
        return list(self.store.arrivals(INCOMING))

    def _later(self, delay: float, what: Callable[[], None]) -> None:
        def wait() -> None:
            self.scheduler.sleep(delay)
            what()

        self.scheduler.spawn("event", wait)


class _StartedRuns(FakeRuns):
    """Each execution is worked as soon as it is started."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def start(self, run: str, batches: int) -> None:
        plan = run
        known = len(self.started)
        super().start(run, batches)
        if len(self.started) > known:
            world = self._world

            def ended(status: str) -> None:
                world.ended(plan, RunStatus(status))

            world.running[plan] = Run(world.scheduler, world, plan_of_run(plan)[0], batches, ended)


class _WatchedLeases(FakeLeases):
    """Says at once when a lease is given that may not be (invariants 7 and 2)."""

    def __init__(self, store: FakeObjectStore) -> None:
        super().__init__()
        self._store = store
        self.attempts: dict[str, int] = {}
        self.violation: ViolationError | None = None

    def record_run(self, lease: ListingLease, run: RunRecord) -> None:
        super().record_run(lease, run)
        live = self.live_runs()
        if sum(one.files for one in live) > LIMITS.files:
            self.violation = ViolationError(f"{sum(one.files for one in live)} files are leased, {LIMITS.files} may be")
        if sum(one.bytes for one in live) > LIMITS.bytes and sum(one.files for one in live) > 1:
            self.violation = ViolationError(f"more than {LIMITS.bytes} bytes are leased")
        held: set[str] = set()
        for one in (run for run in live if run.files):
            plan = Plan.from_json(self._store.get_json(plan_key(one.id)))
            keys = {arrival.key for arrival in plan.arrivals if self._store._find(arrival)}
            if held & keys:
                self.violation = ViolationError(f"two live runs hold versions of {sorted(held & keys)}")
            held |= keys

    def end_run(self, run: str, status: RunStatus, ended: datetime) -> None:
        super().end_run(run, status, ended)
        if status is RunStatus.SUCCEEDED or plan_of_run(run)[0] != run:
            return
        waiting = self.waiting()
        for arrival in Plan.from_json(self._store.get_json(plan_key(run))).arrivals:
            counted = arrival.id in waiting and waiting[arrival.id].run >= run
            if not counted and self._store._find(arrival) and not self.lenient():
                self.violation = ViolationError(f"run {run} ended {status} and was no attempt on {arrival.key}")

    def lenient(self) -> bool:
        """A destination that is down uses up nobody's attempts."""
        return bool(self.breakers())

    def forget(self, arrivals: Sequence[str]) -> None:
        super().forget(arrivals)
        for arrival in self._store.arrivals(INCOMING):
            if arrival.id in arrivals:
                self.violation = ViolationError(f"the attempts on {arrival.key} are forgotten, and it is in incoming/")

    def put_back(self, attempts: Sequence[Attempt]) -> None:
        waiting = self.waiting()
        super().put_back(attempts)
        for attempt in attempts:
            before = waiting.get(attempt.arrival)
            if before and attempt.run == before.run and attempt.attempts > before.attempts:
                self.violation = ViolationError(f"run {attempt.run} counted an attempt on {attempt.arrival[:6]} twice")
            begun = Plan.from_json(self._store.get_json(plan_key(attempt.run))).created
            if attempt.attempts > 1 and attempt.not_before - begun < timedelta(seconds=20):
                self.violation = ViolationError(f"{attempt.arrival[:6]} was put back to be tried again at once")
            self.attempts[attempt.arrival] = max(attempt.attempts, self.attempts.get(attempt.arrival, 0))


def _small(answer: dict[str, Any]) -> dict[str, Any]:
    """Invariant 5: a state carries references and counts."""
    if len(json.dumps(answer)) > 300:
        raise ViolationError(f"a step answered {len(json.dumps(answer))} characters: {answer}")
    return answer


def _refused(document: dict[str, Any]) -> str:
    return "" if isinstance(document.get("id"), int | None) else "id is no integer"


@cache
def _with_pools() -> tuple[ModuleType, ...]:
    flows = (import_module(f"penstock.flows.{module.name}") for module in iter_modules(penstock.flows.__path__))
    return tuple(flow for flow in flows if hasattr(flow, "ThreadPoolExecutor"))


@contextmanager
def without_threads() -> Iterator[None]:
    """Thread pools inside a flow do their work in turn: threads are not the scheduler's."""
    for flow in _with_pools():
        flow.ThreadPoolExecutor = Inline  # type: ignore[attr-defined] # A module that was found by name.
    try:
        yield
    finally:
        for flow in _with_pools():
            flow.ThreadPoolExecutor = ThreadPoolExecutor  # type: ignore[attr-defined] # As above.
