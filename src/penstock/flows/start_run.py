"""What all live runs together may hold, and how one is started: planned, leased, and only then begun."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from penstock.flows.run_ids import plan_id
from penstock.flows.start_backfill import BackfillLimits
from penstock.model.plans import Batch, Plan, plan_key
from penstock.ports import Clock, Leases, ListingLease, ObjectStore, RunRecord, Runs


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
