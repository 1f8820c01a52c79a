"""What a listing does about earlier runs: starts those that never began, and takes over from those that are over."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from penstock.flows.deciding import not_before
from penstock.model.arrivals import Arrival, is_arrival_id
from penstock.model.plans import Plan, plan_key
from penstock.ports import Attempt, Clock, Leases, ObjectStore, RunRecord, Runs, RunStatus


def look_after(
    leases: Leases, runs: Runs, clock: Clock, is_needless: Callable[[RunRecord], bool]
) -> tuple[list[RunRecord], list[RunRecord]]:
    """The live runs, which hold their leases, and those that are over, each with the status that it ended in.

    What was not started yet and `is_needless` by now has succeeded.
    """
    live: list[RunRecord] = []
    over: list[RunRecord] = []
    for run in leases.live_runs():
        now = clock.now()
        if now < run.started:
            live.append(run)  # A closing whose time has not come.
            continue
        status = runs.status(run.execution)
        if status is RunStatus.MISSING and is_needless(run):
            status = RunStatus.SUCCEEDED
        if status is RunStatus.MISSING and now < run.expires:
            # Whoever recorded it died before starting it, or is about to: starting it twice starts it once.
            runs.start(run.id, run.batches)
            status = RunStatus.RUNNING
        if status is RunStatus.RUNNING and now < run.expires:
            live.append(run)
        else:
            over.append(replace(run, status=RunStatus.TIMED_OUT if status is RunStatus.RUNNING else status))
    return live, over


def arrivals_of(store: ObjectStore, runs: Iterable[RunRecord]) -> dict[str, RunRecord]:
    """The run of each arrival id, and of each key of which it retries a version: the key's others wait until that ends.

    A run whose plan is gone leases nothing: it can't work it either. A closing has none of its own.
    """
    found: dict[str, RunRecord] = {}
    for run, plan in _plans(store, runs):
        found.update((arrival.id, run) for arrival in plan.arrivals)
        found.update((arrival.key, run) for arrival in plan.arrivals if arrival.location)
    return found


def orphans_of(
    store: ObjectStore, runs: Iterable[RunRecord], waiting: MutableMapping[str, Attempt], now: datetime
) -> Orphans:
    """What is to be told of the arrivals of runs that ended badly; `waiting` is added to."""
    orphans: dict[str, tuple[Arrival, RunRecord]] = {}
    alone: set[str] = set()
    for run, plan in _plans(store, runs):
        orphans.update((arrival.id, (arrival, run)) for arrival in plan.arrivals)
        alone.update(batch.arrivals[0].id for batch in plan.batches if len(batch.arrivals) == 1)
    return Orphans(orphans, waiting, now, alone)


def _plans(store: ObjectStore, runs: Iterable[RunRecord]) -> Iterator[tuple[RunRecord, Plan]]:
    for run in runs:
        if run.claim:
            continue  # A backfill has none, and leases by its claim.
        with suppress(KeyError):
            yield run, Plan.from_json(store.get_json(plan_key(run.id)))


@dataclass(slots=True)
class Orphans:
    """Arrivals in `incoming/` whose run ended badly and neither settled them nor put them back.

    That run was an attempt on them. Were it not counted, a step that always fails would start one run after the other:
    a failed run asks for a listing. The first time they are taken over at once, since a run that was stopped is no
    fault of theirs; from then on they wait as others do.
    """

    planned: Mapping[str, tuple[Arrival, RunRecord]]
    """Each arrival of those runs' plans, by its id."""
    waiting: MutableMapping[str, Attempt]
    """What is known of arrivals that were put back; what is found here is added."""
    now: datetime
    alone: Container[str] = frozenset()
    """Ids of those that were alone in their batch: that it was not settled is evidence against them."""
    attempts: list[Attempt] = field(default_factory=list)
    here: set[str] = field(default_factory=set)
    """Ids of those that were put back once and are still in `incoming/`."""

    def gone(self) -> list[str]:
        """Those that were put back once and are not here any more: nobody else would forget them.

        Their run moved them and died, or a settling that outlived its run put back what the next one had moved, or
        somebody deleted them. An arrival never comes back. Asked when the whole of a listing was shown.
        """
        return [id_ for id_ in self.waiting if id_ not in self.here and is_arrival_id(id_)]

    def beyond(self, key: str) -> list[Arrival]:
        """Those that a listing did not come to, which ended at that key. Whether they are still here nobody knows.

        They are to be seen all the same: their run is ended now, and who lists further would not know of it. What is
        remembered for nothing is forgotten by a listing that comes to its end.
        """
        return [arrival for arrival, _ in self.planned.values() if arrival.key >= key]

    def see(self, arrival: Arrival, *, counts: bool = True) -> None:
        """Shown every arrival of a listing once; of one that does not count, no attempt is counted."""
        _, run = self.planned.get(arrival.id, (arrival, None))
        before = self.waiting.get(arrival.id)
        if before is not None:
            self.here.add(arrival.id)
        if not counts:
            return
        if run is None or (before and before.run == run.id):
            return
        attempts = before.attempts if before else 0
        self.here.add(arrival.id)
        ended = f"Run {run.id} ended {run.status} and had not settled {arrival.key}."
        attempt = Attempt(
            arrival=arrival.id,
            attempts=attempts + 1,
            not_before=not_before(self.now, attempts - 1) if attempts else self.now,
            reason=f"{ended} `penstock run {run.id}` says why.",
            run=run.id,
            crashes=before.crashes if before else 0,
            unsettled=(before.unsettled if before else 0) + 1 if arrival.id in self.alone else 0,
        )
        self.waiting[arrival.id] = attempt
        self.attempts.append(attempt)
