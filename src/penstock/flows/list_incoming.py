"""Lists what has arrived, leases as much of it as the destinations can take, and starts a run for it.

S3 is the queue: what is in `incoming/` is not done. This may die at any line, and two may run at once:

- before the plan is written, nothing has happened;
- with the plan written and the run not recorded, an unread document lies in `plans/`; the next listing plans anew;
- with the run recorded and not started, the next listing finds no execution of it, and starts it (`look_after`);
- with the closing of a run recorded and the run not ended, the next listing ends it, and starts the closing;
- a listing that lost its lease can't record a run: the same transaction checks the lease's token;
- should an arrival be in two live runs all the same, the load ledger makes the second a no-op.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from penstock.flows.close_again import closing_of
from penstock.flows.gate import Gate
from penstock.flows.look_after_runs import Orphans, arrivals_of, look_after
from penstock.flows.planning import Oldest, Room, choose, group
from penstock.model.arrivals import INCOMING, UNCLAIMED, Arrival
from penstock.model.dataset_files import dataset_of
from penstock.model.datasets import Dataset
from penstock.model.errors import TransientError
from penstock.model.plans import Batch, Plan, plan_key
from penstock.ports import Attempt, Clock, Leases, ListingLease, ObjectStore, RunRecord, Runs, RunStatus

LEASE = timedelta(minutes=2)
"""How long a listing that died can keep the next from listing. One that lives prolongs it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that all live runs together may hold, and how long a run can go on: the leases' backstop."""

    files: int
    bytes: int
    run: timedelta
    closings: int = 5
    """How often a run that ended badly is closed again at most."""


@dataclass(slots=True)
class Backlog:
    """What of a dataset is in `incoming/`: not settled yet, be it leased or not."""

    files: int = 0
    bytes: int = 0
    oldest: datetime | None = None

    def add(self, arrival: Arrival) -> None:
        self.files += 1
        self.bytes += arrival.size
        self.oldest = arrival.modified if self.oldest is None else min(self.oldest, arrival.modified)

    def oldest_age(self, now: datetime) -> float:
        """Seconds; 0 when there is none."""
        return max(0.0, (now - self.oldest).total_seconds()) if self.oldest else 0.0


@dataclass(frozen=True, slots=True)
class Listing:
    """What a listing saw and did. `listed` is False when another one was at it, which was told to list once more."""

    listed: bool
    at: datetime
    backlog: Mapping[str, Backlog] = field(default_factory=dict)
    """By dataset, all of them and `_unclaimed`: a metric of zero says more than none."""
    plans: tuple[str, ...] = ()
    down: frozenset[str] = frozenset()
    """Destinations whose breaker is open."""


def list_incoming(
    store: ObjectStore,
    leases: Leases,
    runs: Runs,
    clock: Clock,
    datasets: Mapping[str, Dataset],
    limits: Limits,
    owner: str,
) -> Listing:
    """`owner` names this call, as its Lambda request id does. Raises TransientError when it loses its lease midway."""
    lease = leases.acquire_listing(owner, clock.now(), LEASE)
    if lease is None:
        return Listing(listed=False, at=clock.now())
    plans: list[str] = []
    while True:
        holding = _Holding(leases, clock, lease)
        backlog, plan, down = _list_once(store, leases, runs, clock, datasets, limits, holding)
        plans += [plan] if plan else []
        if not leases.release_listing(holding.lease):
            return Listing(listed=True, at=clock.now(), backlog=backlog, plans=tuple(plans), down=down)
        # Someone asked meanwhile, and may mean a file that came after its key was passed.
        lease = holding.lease


@dataclass(slots=True)
class _Holding:
    """The listing lease, prolonged while the listing goes on."""

    leases: Leases
    clock: Clock
    lease: ListingLease

    def keep(self) -> None:
        now = self.clock.now()
        if self.lease.expires - now > LEASE / 2:
            return
        renewed = self.leases.acquire_listing(self.lease.owner, now, LEASE)
        if renewed and renewed.token == self.lease.token + 1:
            self.lease = renewed
            return
        # Every holder raises the token by one: another has held the lease, and what was read before is out of date.
        while renewed and self.leases.release_listing(renewed):
            continue
        raise TransientError(
            "The listing was overtaken by another, which plans the same files. There is nothing to do."
        )

    def through(self, arrivals: Iterable[Arrival]) -> Iterator[Arrival]:
        for number, arrival in enumerate(arrivals):
            if number % 1000 == 0:
                self.keep()
            yield arrival


def _list_once(
    store: ObjectStore,
    leases: Leases,
    runs: Runs,
    clock: Clock,
    datasets: Mapping[str, Dataset],
    limits: Limits,
    holding: _Holding,
) -> tuple[Mapping[str, Backlog], str | None, frozenset[str]]:
    # In this order: a run that is seen to be over has moved what it settled and put back the rest, so the reads of
    # put-back arrivals and of S3 that follow see all of that. The other way round a file could look free that is not.
    live, over = look_after(leases, runs, clock)
    leased = arrivals_of(store, live).keys()
    waiting = dict(leases.waiting())
    now = clock.now()
    gate = Gate(leases.breakers(), datasets, {run.id for run in live}, now)
    orphans = Orphans(arrivals_of(store, [run for run in over if run.status is not RunStatus.SUCCEEDED]), waiting, now)

    room = Room(
        files=limits.files - sum(run.files for run in live),
        bytes=limits.bytes - sum(run.bytes for run in live),
        empty=not any(run.files for run in live),
    )
    backlog = {name: Backlog() for name in (*datasets, UNCLAIMED)}
    oldest = {name: Oldest(max(room.files, 0)) for name in backlog}
    previous = ""
    for arrival in holding.through(store.arrivals(INCOMING)):
        dataset = dataset_of(datasets, arrival.key)
        name = dataset.name if dataset else UNCLAIMED
        backlog[name].add(arrival)
        # Where the gate is shut it may be the destination that ended its run badly.
        orphans.see(arrival, counts=not gate.shut(name))
        # Versions of one key are worked in order, one at a time: those behind the first wait, whatever keeps that one.
        first, previous = arrival.key != previous, arrival.key
        if first and leased.isdisjoint((arrival.id, arrival.key)) and _is_due(waiting.get(arrival.id), now):
            oldest[name].add(arrival)

    # Attempts first: a run that has ended is not looked at again. Done twice, each is the same attempt.
    holding.keep()
    leases.put_back(orphans.attempts)
    leases.forget(orphans.settled())
    known = {run.id for run in (*live, *over)}
    for run in over:
        # First its closing, which the next listing starts: of a run that has ended nobody would know what it owes.
        closing = closing_of(run, store, leases, runs, datasets, limits.closings, now, limits.run)
        holding.keep()
        if closing and closing.id not in known:
            leases.record_run(holding.lease, closing)
        leases.end_run(run.id, run.status, now)

    chosen = choose(gate.admit({name: heap.in_order() for name, heap in oldest.items()}), room)
    attempts = {arrival: attempt.attempts for arrival, attempt in waiting.items()}
    batches = group(chosen, {name: dataset.batch for name, dataset in datasets.items()}, attempts)
    down = frozenset(gate.breakers)
    if not batches:
        return backlog, None, down
    holding.keep()
    plan = start_run(store, leases, runs, clock, limits, holding.lease, batches)
    for breaker in gate.probed_by(plan, (batch.dataset for batch in batches)):
        leases.open_breaker(breaker)
    return backlog, plan, down


def _is_due(attempt: Attempt | None, now: datetime) -> bool:
    return attempt is None or attempt.not_before <= now


def start_run(
    store: ObjectStore,
    leases: Leases,
    runs: Runs,
    clock: Clock,
    limits: Limits,
    lease: ListingLease,
    batches: tuple[Batch, ...],
) -> str:
    """Plans the batches, leases their arrivals, starts the run; its id. Killed midway, the next listing starts it."""
    now = clock.now()
    plan = Plan(plan_id(now), now, batches)
    store.put_json(plan_key(plan.id), plan.to_json())
    leases.record_run(
        lease,
        RunRecord(
            id=plan.id,
            execution=runs.execution_of(plan.id),
            started=now,
            expires=now + limits.run,
            batches=len(batches),
            files=len(plan.arrivals),
            bytes=sum(batch.size for batch in batches),
            datasets=_files_per_dataset(batches),
        ),
    )
    runs.start(plan.id, len(batches))
    return plan.id


def _files_per_dataset(batches: Iterable[Batch]) -> dict[str, int]:
    files: dict[str, int] = {}
    for batch in batches:
        files[batch.dataset] = files.get(batch.dataset, 0) + len(batch.arrivals)
    return files


def plan_id(now: datetime, random: Callable[[int], str] = secrets.token_hex) -> str:
    """`20260115T101112-345-1a2b3c4d`: sorts by time, and is an execution's name (letters, digits, `-`; ≤ 80)."""
    moment = now.astimezone(UTC)
    return f"{moment:%Y%m%dT%H%M%S}-{moment.microsecond // 1000:03d}-{random(4)}"
