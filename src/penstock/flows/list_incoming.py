"""Lists what has arrived, leases as much of it as the destinations can take, and starts a run for it.

S3 is the queue: what is in `incoming/` is not done. This may die at any line, and two may run at once:

- before the plan is written, nothing has happened;
- with the plan written and the run not recorded, an unread document lies in `plans/`; the next listing plans anew;
- with the run recorded and not started, the next listing finds no execution of it, and starts it (`look_after`);
- with the closing of a run recorded and the run not ended, the next listing ends it, and starts the closing;
- a listing that lost its lease can't record a run: the same transaction checks the lease's token;
- should an arrival be in two live runs all the same, the load ledger makes the second a no-op.

It ends in its function's time, whatever lies in `incoming/` and however often it is asked (docs/adr/0063).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from penstock.flows.backlog import Backlog
from penstock.flows.close_again import closings_of, is_needless
from penstock.flows.gate import Gate
from penstock.flows.gathering import gather, silent
from penstock.flows.look_after_runs import arrivals_of, look_after, orphans_of
from penstock.flows.pacing import adapt, shares
from penstock.flows.planning import ALONE_FROM, Oldest, Room, Share, choose, group
from penstock.flows.remembering import Remembered
from penstock.flows.run_ids import plan_id
from penstock.flows.start_backfill import BackfillLimits, is_due, live_backfill, remember_end, start_backfill
from penstock.model.arrivals import INCOMING, UNCLAIMED, Arrival
from penstock.model.backfills import is_claimed
from penstock.model.dataset_files import dataset_of
from penstock.model.datasets import Dataset
from penstock.model.errors import TransientError
from penstock.model.huge import is_huge
from penstock.model.memos import STACK
from penstock.model.plans import MAX_BATCHES, Batch, Plan, plan_key
from penstock.ports import Attempt, Clock, Leases, ListingLease, ObjectStore, RunRecord, Runs, RunStatus

LEASE = timedelta(minutes=2)
"""How long a listing that died can keep the next from listing. One that lives prolongs it."""
_READS = timedelta(minutes=2)
"""How long `incoming/` is read, of the five minutes that the function has for all."""
_LISTS_AGAIN = timedelta(minutes=1)
"""How long after its begin a listing is made again for who asked meanwhile: the schedule asks each minute anyway."""
_RESERVE = 10
"""One part in so many of all room is left to datasets that hold less than their fair share of it.

Of the batches at work it is one at least: else a dataset could keep all others waiting for as long as it has files.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that all live runs together may hold, and how long a run can go on: the leases' backstop."""

    files: int
    bytes: int
    run: timedelta
    closings: int = 5
    """How often a run that ended badly is closed again at most."""
    attempts: int = 5
    """After how many a file is given up."""
    backfill: BackfillLimits = field(default_factory=BackfillLimits)
    parallel: int = 8
    """Batches that one run works at once (the machine's MaxConcurrency)."""
    at_work: int = 40
    """The most batches that all live runs together may work at once: what a destination has connections for."""
    between: timedelta = timedelta(0)
    """From the planning of one run to that of the next, at least."""


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
    ended_badly: int = 0
    """Runs that were found to have failed, timed out or been aborted."""
    growing_minutes: float = 0.0
    """For how long the backlog has grown, without what waits for its flush."""
    stuck_minutes: float = 0.0
    """For how long it has not fallen."""
    silent: Mapping[str, bool] = field(default_factory=dict)
    """Of each dataset that expects files, whether none has come for too long."""
    not_settled: int = 0
    """Files that were tried as often as they may and are still in `incoming/`: they can't be settled."""
    cut: bool = False
    """Whether there was more than it had time to read: all that is said here is of what it has read."""


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
    began = clock.now()
    plans: list[str] = []
    bad = 0
    while True:
        holding = _Holding(leases, clock, lease)
        listing = _list_once(store, leases, runs, clock, datasets, limits, holding)
        plans += listing.plans
        bad += listing.ended_badly
        asked = leases.release_listing(holding.lease)
        while asked and clock.now() - began >= _LISTS_AGAIN:
            asked = leases.release_listing(holding.lease)
        if not asked:
            return replace(listing, at=clock.now(), plans=tuple(plans), ended_badly=bad)
        # Someone asked meanwhile, and may mean a file that came after its key was passed.
        lease = holding.lease


@dataclass(slots=True)
class _Holding:
    """The listing lease, prolonged while the listing goes on."""

    leases: Leases
    clock: Clock
    lease: ListingLease
    cut: bool = False
    """Whether `through` has left out the rest."""

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
        began = self.clock.now()
        for number, arrival in enumerate(arrivals):
            if number % 1000 == 0:
                self.keep()
                self.cut = self.clock.now() - began >= _READS
                if self.cut:
                    return
            yield arrival


def _list_once(
    store: ObjectStore,
    leases: Leases,
    runs: Runs,
    clock: Clock,
    datasets: Mapping[str, Dataset],
    limits: Limits,
    holding: _Holding,
) -> Listing:
    # In this order: a run that is seen to be over has moved what it settled and put back the rest, so the reads of
    # put-back arrivals and of S3 that follow see all of that. The other way round a file could look free that is not.
    live, over = look_after(leases, runs, clock, lambda run: is_needless(run, store, leases, datasets))
    leased = arrivals_of(store, live).keys()
    waiting = dict(leases.waiting())
    now = clock.now()
    gate = Gate(leases.breakers(), datasets, {run.id for run in live}, now)
    orphans = orphans_of(store, [run for run in over if run.status is not RunStatus.SUCCEEDED], waiting, now)

    remembered = Remembered(leases)
    adapt(store, over, live, datasets, remembered, now)
    claims = [run.claim for run in live if run.claim]
    free = 0
    backlog = {name: Backlog() for name in (*datasets, UNCLAIMED)}
    due = {name: Backlog() for name in backlog}
    room = _room(limits, live, shares(datasets, backlog, live, remembered, limits.files, limits.bytes))
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
        is_free = leased.isdisjoint((arrival.id, arrival.key)) and not is_claimed(arrival, claims)
        if first and is_free and _is_due(waiting.get(arrival.id), now):
            oldest[name].add(arrival)
            due[name].add(arrival)
            free += arrival.modified < now and not gate.shut(name)

    # Attempts first: a run that has ended is not looked at again. Done twice, each is the same attempt.
    holding.keep()
    leases.put_back(orphans.attempts)
    if not holding.cut:
        leases.forget(orphans.gone())
    known = {run.id for run in (*live, *over)}
    for run in over:
        # First its closing, which the next listing starts: of a run that has ended nobody would know what it owes.
        for closing in closings_of(run, store, leases, runs, datasets, limits.closings, now, limits.run):
            holding.keep()
            if closing.id not in known:
                leases.record_run(holding.lease, closing)
        holding.keep()
        if run.claim:
            remember_end(leases, waiting, run, now)
        leases.end_run(run.id, run.status, now)

    waiting_for_more = gather(datasets, due, remembered, now)
    pressing = [backlog[name] for name in backlog if name not in waiting_for_more]
    level = remembered.backlog().seen(
        sum(one.files for one in pressing), min((one.oldest for one in pressing if one.oldest), default=None), now
    )
    quiet = silent(datasets, backlog, remembered, now)
    listing = Listing(
        listed=True,
        at=now,
        backlog=backlog,
        down=frozenset(gate.breakers),
        ended_badly=sum(run.status is not RunStatus.SUCCEEDED for run in over),
        growing_minutes=level.growing_minutes(now),
        stuck_minutes=level.stuck_minutes(now),
        silent={} if holding.cut else quiet,
        not_settled=sum(waiting[arrival].attempts >= limits.attempts for arrival in orphans.here),
        cut=holding.cut,
    )
    if 0 < limits.backfill.from_files < free and not live_backfill(live) and is_due(waiting, now):
        remembered.change(STACK, level)
        remembered.keep()
        holding.keep()
        most = limits.files, limits.bytes, limits.backfill.at_once
        started = start_backfill(leases, runs, clock, holding.lease, live, INCOMING, *most)
        return replace(listing, plans=(started,))
    eligible = {name: heap.in_order() for name, heap in oldest.items() if name not in waiting_for_more}
    too_early = level.ran is not None and now < level.ran + limits.between
    batches = () if too_early else _batches(limits, live, room, gate, eligible, waiting, remembered)
    remembered.change(STACK, level.model_copy(update={"ran": now}) if batches and limits.between else level)
    remembered.keep()
    if not batches:
        return listing
    holding.keep()
    plan = start_run(store, leases, runs, clock, limits, holding.lease, batches)
    for breaker in gate.probed_by(plan, (batch.dataset for batch in batches)):
        leases.open_breaker(breaker)
    return replace(listing, plans=(plan,))


def _room(limits: Limits, live: Sequence[RunRecord], shares: Mapping[str, Share]) -> Room:
    return Room(
        files=limits.files - sum(run.files for run in live),
        bytes=limits.bytes - sum(run.bytes for run in live),
        empty=not any(run.files for run in live),
        shares=shares,
        reserve_files=limits.files // _RESERVE,
        reserve_bytes=limits.bytes // _RESERVE,
        most_bytes=limits.bytes,
    )


def _batches(
    limits: Limits,
    live: Sequence[RunRecord],
    room: Room,
    gate: Gate,
    eligible: Mapping[str, Sequence[Arrival]],
    waiting: Mapping[str, Attempt],
    remembered: Remembered,
) -> tuple[Batch, ...]:
    rates = {name: remembered.dataset(name).rate for name in gate.datasets}
    alone = {
        arrival.id: ALONE_FROM
        for name, arrivals in eligible.items()
        for arrival in arrivals
        if name in gate.datasets and is_huge(gate.datasets[name], arrival, rates[name])
    }
    left = limits.at_work - sum(_at_work(run, limits) for run in live)
    most = _most_batches(left, limits)
    batches = group(
        choose(gate.admit(eligible), room),
        {name: dataset.batch for name, dataset in gate.datasets.items()},
        {arrival: attempt.attempts for arrival, attempt in waiting.items()} | alone,
        most=most,
        reserved=most - _most_batches(left - min(max(limits.at_work // _RESERVE, 1), limits.at_work - 1), limits),
        idle={name for name in eligible if not room.shares[name].held_files},
    )
    return tuple(replace(batch, rate=rates.get(batch.dataset, 0)) for batch in batches)


def _at_work(run: RunRecord, limits: Limits) -> int:
    return limits.backfill.at_once if run.claim else min(run.batches, limits.parallel)


def _most_batches(left: int, limits: Limits) -> int:
    """Of a run that may work `left` at once: it works `parallel` however many it has, and never more than it has."""
    return MAX_BATCHES if left >= limits.parallel else max(left, 0)


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
            datasets=_per_dataset((batch.dataset, len(batch.arrivals)) for batch in batches),
            sizes=_per_dataset((batch.dataset, batch.size) for batch in batches),
        ),
    )
    runs.start(plan.id, len(batches))
    return plan.id


def _per_dataset(amounts: Iterable[tuple[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for name, amount in amounts:
        total[name] = total.get(name, 0) + amount
    return total
