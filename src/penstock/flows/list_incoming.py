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

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from penstock.flows.backlog import Backlog
from penstock.flows.close_again import closings_of, is_needless
from penstock.flows.gate import Gate
from penstock.flows.gathering import gather, silent
from penstock.flows.listing_lease import LEASE, Holding
from penstock.flows.look_after_runs import Orphans, arrivals_of, look_after, orphans_of
from penstock.flows.next_batches import next_batches, room_beside
from penstock.flows.pacing import adapt, shares
from penstock.flows.planning import Oldest
from penstock.flows.remembering import Remembered
from penstock.flows.start_backfill import is_due, live_backfill, remember_end, start_backfill
from penstock.flows.start_run import Limits, start_run
from penstock.model.arrivals import INCOMING, UNCLAIMED, Arrival
from penstock.model.backfills import is_claimed
from penstock.model.dataset_files import dataset_of
from penstock.model.datasets import Dataset
from penstock.model.memos import STACK
from penstock.ports import Attempt, Clock, Leases, ObjectStore, RunRecord, Runs, RunStatus

_LISTS_AGAIN = timedelta(minutes=1)
"""How long after its begin a listing is made again for who asked meanwhile: the schedule asks each minute anyway."""


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
    lister = _Lister(store, leases, runs, clock, datasets, limits)
    began = clock.now()
    plans: list[str] = []
    bad = 0
    while True:
        holding = Holding(leases, clock, lease)
        listing = lister.list_once(holding)
        plans += listing.plans
        bad += listing.ended_badly
        asked = leases.release_listing(holding.lease)
        while asked and clock.now() - began >= _LISTS_AGAIN:
            asked = leases.release_listing(holding.lease)
        if not asked:
            return replace(listing, at=clock.now(), plans=tuple(plans), ended_badly=bad)
        # Someone asked meanwhile, and may mean a file that came after its key was passed.
        lease = holding.lease


@dataclass(frozen=True, slots=True)
class _Lister:
    """One listing: what is in its hands, and its steps in their order."""

    store: ObjectStore
    leases: Leases
    runs: Runs
    clock: Clock
    datasets: Mapping[str, Dataset]
    limits: Limits

    def list_once(self, holding: Holding) -> Listing:
        store, leases, datasets, limits = self.store, self.leases, self.datasets, self.limits
        # In this order: a run that is seen to be over has moved what it settled and put back the rest, so the reads of
        # put-back arrivals and of S3 that follow see all of that. The other way round a file could look free that is
        # not.
        live, over = look_after(leases, self.runs, self.clock, lambda run: is_needless(run, store, leases, datasets))
        leased = arrivals_of(store, live).keys()
        waiting = dict(leases.waiting())
        now = self.clock.now()
        gate = Gate(leases.breakers(), datasets, {run.id for run in live}, now)
        ended_badly = [run for run in over if run.status is not RunStatus.SUCCEEDED]
        orphans = orphans_of(store, ended_badly, waiting, now)
        remembered = Remembered(leases)
        adapt(store, over, live, datasets, remembered, now)
        names = (*datasets, UNCLAIMED)
        room = room_beside(limits, live, shares(datasets, names, live, remembered, limits.files, limits.bytes))

        seen = _Seen.of(names, max(room.files, 0))
        claims = [run.claim for run in live if run.claim]
        previous = ""
        for arrival in holding.through(store.arrivals(INCOMING)):
            dataset = dataset_of(datasets, arrival.key)
            name = dataset.name if dataset else UNCLAIMED
            seen.backlog[name].add(arrival)
            shut = bool(gate.shut(name))
            # Where the gate is shut it may be the destination that ended its run badly.
            orphans.see(arrival, counts=not shut)
            # Versions of one key are worked in order, one at a time: those behind the first wait, whatever keeps it.
            first, previous = arrival.key != previous, arrival.key
            is_free = leased.isdisjoint((arrival.id, arrival.key)) and not is_claimed(arrival, claims)
            if first and is_free and _is_due(waiting.get(arrival.id), now):
                seen.add_due(name, arrival)
                seen.free += arrival.modified < now and not shut
        for arrival in orphans.beyond(previous) if holding.cut else ():
            dataset = dataset_of(datasets, arrival.key)
            orphans.see(arrival, counts=not gate.shut(dataset.name if dataset else UNCLAIMED))

        self._end(over, {run.id for run in (*live, *over)}, orphans, waiting, holding, now)
        gathered = gather(datasets, seen.due, remembered, now)
        pressing = [backlog for name, backlog in seen.backlog.items() if name not in gathered]
        oldest = min((backlog.oldest for backlog in pressing if backlog.oldest), default=None)
        level = remembered.backlog().seen(sum(backlog.files for backlog in pressing), oldest, now)
        quiet = silent(datasets, seen.backlog, remembered, now)
        listing = Listing(
            listed=True,
            at=now,
            backlog=seen.backlog,
            down=frozenset(gate.breakers),
            ended_badly=len(ended_badly),
            growing_minutes=level.growing_minutes(now),
            stuck_minutes=level.stuck_minutes(now),
            silent={} if holding.cut else quiet,
            not_settled=sum(waiting[arrival].attempts >= limits.attempts for arrival in orphans.here),
            cut=holding.cut,
        )

        if 0 < limits.backfill.from_files < seen.free and not live_backfill(live) and is_due(waiting, now):
            remembered.change(STACK, level)
            remembered.keep()
            return replace(listing, plans=(self._start_backfill(live, holding),))
        eligible = {name: heap.in_order() for name, heap in seen.oldest.items() if name not in gathered}
        too_early = level.ran is not None and now < level.ran + limits.between
        batches = () if too_early else next_batches(limits, live, room, gate, eligible, waiting, remembered)
        remembered.change(STACK, level.model_copy(update={"ran": now}) if batches and limits.between else level)
        remembered.keep()
        if not batches:
            return listing
        holding.keep()
        plan = start_run(store, leases, self.runs, self.clock, limits, holding.lease, batches)
        for breaker in gate.probed_by(plan, (batch.dataset for batch in batches)):
            leases.open_breaker(breaker)
        return replace(listing, plans=(plan,))

    def _end(
        self,
        over: Sequence[RunRecord],
        known: Container[str],
        orphans: Orphans,
        waiting: dict[str, Attempt],
        holding: Holding,
        now: datetime,
    ) -> None:
        """Ends the runs that are over, after all that asks for them. `known` are the ids of all that are recorded."""
        leases = self.leases
        # Attempts first: a run that has ended is not looked at again. Done twice, each is the same attempt.
        holding.keep()
        leases.put_back(orphans.attempts)
        leases.forget([] if holding.cut else orphans.gone())
        for run in over:
            # First its closing, which the next listing starts: of a run that has ended nobody would know what it owes.
            most, lasting = self.limits.closings, self.limits.run
            for closing in closings_of(run, self.store, leases, self.runs, self.datasets, most, now, lasting):
                holding.keep()
                if closing.id not in known:
                    leases.record_run(holding.lease, closing)
            holding.keep()
            if run.claim:
                remember_end(leases, waiting, run, now)
            leases.end_run(run.id, run.status, now)

    def _start_backfill(self, live: Sequence[RunRecord], holding: Holding) -> str:
        holding.keep()
        most = self.limits.files, self.limits.bytes, self.limits.backfill.at_once
        return start_backfill(self.leases, self.runs, self.clock, holding.lease, live, INCOMING, *most)


@dataclass(slots=True)
class _Seen:
    """What one pass over `incoming/` has shown, by dataset."""

    backlog: dict[str, Backlog]
    """All that is there."""
    due: dict[str, Backlog]
    """What could be planned now."""
    oldest: dict[str, Oldest]
    """As many of that as there is room for."""
    free: int = 0
    """Files that a backfill would claim now."""

    @classmethod
    def of(cls, names: Sequence[str], most: int) -> _Seen:
        return cls(
            {name: Backlog() for name in names},
            {name: Backlog() for name in names},
            {name: Oldest(most) for name in names},
        )

    def add_due(self, name: str, arrival: Arrival) -> None:
        self.due[name].add(arrival)
        self.oldest[name].add(arrival)


def _is_due(attempt: Attempt | None, now: datetime) -> bool:
    return attempt is None or attempt.not_before <= now
