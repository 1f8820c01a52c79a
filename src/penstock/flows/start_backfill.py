"""Starts a backfill: its claim is recorded under the listing lease, so that no listing hands out what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock.flows.deciding import not_before
from penstock.flows.run_ids import plan_id
from penstock.model.arrivals import INCOMING
from penstock.model.backfills import AWAITED, Claim, backfill_id
from penstock.model.errors import PermanentError
from penstock.ports import Attempt, Clock, Leases, ListingLease, RunRecord, Runs, RunStatus

LASTS = timedelta(days=7, minutes=15)
"""The backstop of its claim: the backfill machine's TimeoutSeconds, and a margin."""
_BATCH_FILES = 100
_BATCH_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class BackfillLimits:
    """`from_files` is the threshold of the lister, 0 for never; `at_once` how many batches a backfill works."""

    from_files: int = 0
    at_once: int = 8


def live_backfill(live: Iterable[RunRecord]) -> RunRecord | None:
    return next((run for run in live if run.claim), None)


def is_due(waiting: Mapping[str, Attempt], now: datetime) -> bool:
    """Whether the lister may start one: after one that ended badly it waits, as a file does that was put back."""
    return AWAITED not in waiting or waiting[AWAITED].not_before <= now


def remember_end(leases: Leases, waiting: MutableMapping[str, Attempt], run: RunRecord, now: datetime) -> None:
    """How a backfill ended. One that can't succeed is not started again and again; its files go in ordinary runs."""
    before = waiting.get(AWAITED)
    if run.status is RunStatus.SUCCEEDED:
        leases.forget([AWAITED] if before else [])
    elif before is None or before.run != run.id:
        attempts = before.attempts if before else 0
        reason = f"Backfill {run.id} ended {run.status}. Its message, or its execution's history, says why."
        waiting[AWAITED] = Attempt(AWAITED, attempts + 1, not_before(now, attempts + 1), reason, run.id)
        leases.put_back([waiting[AWAITED]])


def start_backfill(
    leases: Leases,
    runs: Runs,
    clock: Clock,
    lease: ListingLease,
    live: Iterable[RunRecord],
    prefix: str,
    files: int,
    size: int,
    at_once: int,
) -> str:
    """Its id. `files` and `size` are the most that live runs may hold: it takes what it works at once, half at most.

    Killed after recording it, the next listing starts it. Raises PermanentError while another goes on: its machine
    bounds what it does at once, and two would do twice as much.
    """
    if not prefix.startswith(INCOMING):
        raise PermanentError(f"{prefix} is not below {INCOMING}: a backfill loads what is in incoming/")
    if other := live_backfill(live):
        raise PermanentError(f"backfill {other.id} is at work. There is one at a time: penstock runs shows it")
    now = clock.now()
    run = backfill_id(plan_id(now))
    leases.record_run(
        lease,
        RunRecord(
            id=run,
            execution=runs.execution_of(run),
            started=now,
            expires=now + LASTS,
            batches=0,
            files=min(at_once * _BATCH_FILES, files // 2),
            bytes=min(at_once * _BATCH_BYTES, size // 2),
            datasets={},
            claim=Claim(prefix, now),
        ),
    )
    runs.start(run, 0)
    return run
