"""A month of arrivals, seeded, through the real listing on fakes and a virtual clock: what is simulated is the world.

S3's events are left out: each file is found by the minute's tick or a run's end, the slowest way there is.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeases
from tests.fakes.runs import FakeRuns
from tests.simulation.alarms import CloudWatch
from tests.simulation.destination import Destination
from tests.simulation.landing import Landing

from penstock.flows.list_incoming import Listing, list_incoming
from penstock.flows.start_run import Limits
from penstock.model.datasets import Dataset
from penstock.model.memos import DatasetMemo

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LIMITS = Limits(files=600, bytes=10**10, run=6 * HOUR, parallel=4, at_work=10)
_CSV = {"format": "csv", "columns": [{"name": "id", "type": "integer"}]}


def _dataset(name: str, **options: object) -> Dataset:
    return Dataset.model_validate({"name": name, "prefix": f"{name}/", "table": name, **_CSV, **options})


DATASETS = {
    dataset.name: dataset
    for dataset in (
        _dataset(
            "clicks",
            flush={"files": 50, "bytes": "256 MiB", "after": "5m"},
            pace={"min_files": 20, "max_files": 300, "within": "5m"},
            batch={"max_files": 25},
        ),
        _dataset("orders", expect_every="1h"),
        _dataset("dumps", pace={"min_files": 50, "max_files": 500, "within": "5m"}, batch={"max_files": 25}),
    )
}


@dataclass
class World:
    """What happens beside the ordinary: each from when to when."""

    days: int
    outages: list[tuple[datetime, datetime]] = field(default_factory=list)
    slow: list[tuple[datetime, datetime, float]] = field(default_factory=list)
    floods: list[tuple[datetime, datetime, float]] = field(default_factory=list)
    """Files a second, more than the destination takes."""
    silences: list[tuple[datetime, datetime]] = field(default_factory=list)
    """Of the dataset `orders`."""
    limits: Limits = LIMITS


@dataclass
class Seen:
    """What a month was, for the tests and the plot."""

    world: World
    arrived: dict[str, datetime] = field(default_factory=dict)
    planned: dict[str, datetime] = field(default_factory=dict)
    settled: dict[str, datetime] = field(default_factory=dict)
    backlog: list[tuple[datetime, int]] = field(default_factory=list)
    leased: list[tuple[datetime, int]] = field(default_factory=list)
    pace: list[tuple[datetime, int]] = field(default_factory=list)
    """Of dataset `dumps`."""
    most_leased: dict[str, int] = field(default_factory=dict)
    most_connections: int = 0
    over_pace: list[str] = field(default_factory=list)
    listings: int = 0
    runs: int = 0
    cloudwatch: CloudWatch = field(default_factory=CloudWatch)


def month(world: World, seed: int = 1) -> Seen:
    simulation = _Simulation(world, Random(seed))  # noqa: S311 - a seeded world, no secret
    simulation.run()
    return simulation.seen


class _Simulation:
    def __init__(self, world: World, random: Random) -> None:
        self.seen = Seen(world)
        self.clock = FakeClock(BEGIN)
        self.landing, self.leases, self.runs = Landing(self.clock), FakeLeases(), FakeRuns()
        self.destination = Destination(
            self.clock,
            self.landing,
            self.leases,
            self.runs,
            world.limits.parallel,
            self._later,
            world.outages,
            world.slow,
        )
        self._number = count()
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._coming = sorted(arrivals(world, random))
        self._finished: list[str] = []

    def run(self) -> None:
        end = BEGIN + self.seen.world.days * DAY
        for number in range(self.seen.world.days * 1440):
            heapq.heappush(self._agenda, (BEGIN + number * MINUTE, next(self._number), self._list))
        coming = 0
        while self._agenda:
            at, _, what = heapq.heappop(self._agenda)
            if at >= end:
                break
            while coming < len(self._coming) and self._coming[coming][0] <= at:
                self.clock.at, name, size = self._coming[coming]
                key = f"incoming/{name}/{coming:07d}.csv"
                self.landing.arrive(key, size)
                self.seen.arrived[key] = self.clock.at
                coming += 1
            self.clock.at = at
            before = len(self.runs.executions) - len(self._running())
            what()
            if len(self.runs.executions) - len(self._running()) > before:
                self._later(timedelta(seconds=5), self._list)  # The rule on ended runs asks for a listing.
        self.seen.settled = self.destination.worked
        self.seen.most_connections = self.destination.most_connections

    def _running(self) -> list[str]:
        return [one for one, status in self.runs.executions.items() if status == "RUNNING"]

    def _later(self, after: timedelta, what: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.clock.now() + after, next(self._number), what))

    def _list(self) -> None:
        limits = self.seen.world.limits
        listing = list_incoming(self.landing, self.leases, self.runs, self.clock, DATASETS, limits, "lister")
        self.seen.listings += 1
        self.seen.cloudwatch.publish(listing)
        self._note(listing)
        for plan in listing.plans:
            self.destination.start(plan)
        self._forget_the_past()

    def _note(self, listing: Listing) -> None:
        now = self.clock.now()
        live = self.leases.live_runs()
        self.seen.backlog.append((now, sum(backlog.files for backlog in listing.backlog.values())))
        self.seen.leased.append((now, sum(run.files for run in live)))
        for name, dataset in DATASETS.items():
            held = sum(run.datasets.get(name, 0) for run in live)
            self.seen.most_leased[name] = max(held, self.seen.most_leased.get(name, 0))
            memo = self.leases.memos().get(name)
            if dataset.pace and memo:
                pace = DatasetMemo.of(memo.text).pace or dataset.pace.min_files
                if name == "dumps":
                    self.seen.pace.append((now, pace))
                started = [run for run in live if run.id in listing.plans and name in run.datasets]
                if started and held > pace:
                    self.seen.over_pace.append(f"{now} {name}: {held} > {pace}")
        for run in live:
            if run.id in listing.plans:
                self.seen.runs += 1
                for batch in self.landing.get_json(f"plans/{run.id}/plan.json")["batches"]:
                    for arrival in batch["arrivals"]:
                        self.seen.planned.setdefault(arrival["key"], now)

    def _forget_the_past(self) -> None:
        """Runs that ended: the fake leases and the fake machine keep them for ever, and a month has many."""
        for run in self.leases.runs(10**9):
            if not run.live:
                self.landing.forget(run.id)
                self.leases.drop(run.id)
                del self.runs.executions[run.execution]


def arrivals(world: World, random: Random) -> Iterator[tuple[datetime, str, int]]:
    end = BEGIN + world.days * DAY
    yield from (one for one in _trickle(end, random))
    yield from _orders(world, end, random)
    for day in range(world.days):
        night = BEGIN + day * DAY + 2 * HOUR
        yield from ((night + random.random() * 3 * MINUTE, "dumps", random.randint(10**5, 10**7)) for _ in range(400))
        for _ in range(random.choice((0, 1, 2))):
            burst = BEGIN + day * DAY + random.uniform(4, 23) * HOUR
            yield from ((burst + random.random() * MINUTE, "clicks", random.randint(10**4, 10**6)) for _ in range(250))
    for begin, until, rate in world.floods:
        yield from ((at, "dumps", 10**6) for at in _poisson(begin, until, None, rate, random))


def _trickle(end: datetime, random: Random) -> Iterator[tuple[datetime, str, int]]:
    """One file in twenty seconds at noon, one in ten minutes at night."""

    def rate(at: datetime) -> float:
        return 0.0017 + 0.048 * max(0.0, math.sin((at.hour + at.minute / 60 - 6) / 24 * 2 * math.pi)) ** 2

    return ((at, "clicks", random.randint(10**4, 10**6)) for at in _poisson(BEGIN, end, rate, 0.05, random))


def _orders(world: World, end: datetime, random: Random) -> Iterator[tuple[datetime, str, int]]:
    at = BEGIN
    while at < end:
        at += random.uniform(5, 15) * MINUTE
        if not any(begin <= at < until for begin, until in world.silences):
            yield from ((at, "orders", random.randint(10**4, 10**5)) for _ in range(random.randint(1, 3)))


def _poisson(
    begin: datetime, end: datetime, rate: Callable[[datetime], float] | None, most: float, random: Random
) -> Iterable[datetime]:
    """`rate` of arrivals a second, at most `most`; none is `most` all the time."""
    at = begin
    while (at := at + timedelta(seconds=random.expovariate(most))) < end:
        if rate is None or random.random() * most < rate(at):
            yield at
