"""Closes a run again that ended badly before it had kicked off everything: its files are settled, so no other run will.

A closing is a run of the same plan that works no batch: it sums up, announces, and starts the kickoffs that are
missing. It is recorded as a live run ahead of its time and leases nothing; the first listing after that starts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from penstock.flows.deciding import wait_after
from penstock.flows.plan_of import read_plan
from penstock.flows.summarise_backfill import sum_backfill
from penstock.flows.summarise_run import to_kick_off
from penstock.model.backfills import is_backfill
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.model.plans import closing_id, plan_of_run
from penstock.ports import Leases, ObjectStore, RunRecord, Runs, RunStatus


def closing_of(
    run: RunRecord,
    store: ObjectStore,
    leases: Leases,
    runs: Runs,
    datasets: Mapping[str, Dataset],
    most: int,
    now: datetime,
    lasting: timedelta,
) -> RunRecord | None:
    """The next closing of a run that is over: at once, then after 2, 8 and 32 minutes, and each hour, `most` in all.

    None when it succeeded, or owes no kickoff, or has had them all. Asked after `incoming/` was listed, so that what is
    not there any more has been written down by who moved it.
    """
    plan, number = plan_of_run(run.id)
    if run.status is RunStatus.SUCCEEDED or number >= most or not _owes(plan, store, leases, datasets):
        return None
    closing = closing_id(plan, number + 1)
    started = now + wait_after(2 * number) if number else now
    return RunRecord(closing, runs.execution_of(closing), started, started + lasting, 0, 0, 0, {})


def _owes(plan: str, store: ObjectStore, leases: Leases, datasets: Mapping[str, Dataset]) -> bool:
    wanted: Iterable[str]
    try:
        if is_backfill(plan):
            wanted = sum_backfill(store, datasets, plan)[0].fresh
        else:
            wanted = to_kick_off(store, datasets, read_plan(store, plan))
    except PermanentError:
        return False  # Its plan has expired, and what became of it with it.
    return any(leases.claim_kick_off(plan, name) for name in wanted)
