"""Closes a run again that ended badly before it had kicked off everything: its files are settled, so no other run will.

A closing is a run of the same plan that works no batch: it sums up, announces, and starts the kickoffs that are
missing. It is recorded as a live run ahead of its time and leases nothing; the first listing after that starts it, or
ends it where nothing is owed any more.
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
from penstock.model.plans import closing_id, plan_of_run, settled_batch_key
from penstock.ports import Leases, ObjectStore, RunRecord, Runs, RunStatus

_OUTLIVES = timedelta(minutes=16)
"""After its run's end no settling goes on: a Lambda has 15 minutes."""


def closings_of(
    run: RunRecord,
    store: ObjectStore,
    leases: Leases,
    runs: Runs,
    datasets: Mapping[str, Dataset],
    most: int,
    now: datetime,
    lasting: timedelta,
) -> list[RunRecord]:
    """The closings that follow a run that is over: the next at once, then after 2, 8 and 32 minutes, and each hour.

    At most `most` of them, while it owes a kickoff. After a run that ended badly there is a late one, too: a settling
    that outlives it can move files when nobody asks any more. Asked after `incoming/` was listed, so that what is not
    there any more has been written down by who moved it.
    """
    plan, number = plan_of_run(run.id)
    if run.id == plan and run.status is RunStatus.SUCCEEDED:
        return []
    due: list[tuple[int, datetime]] = []
    # In this order: what is settled between the two is seen by the second.
    if run.id == plan and _may_still_settle(plan, store, datasets):
        due.append((0, now + _OUTLIVES))
    if number < most and owes(run, store, leases, datasets):
        due.append((number + 1, now + wait_after(2 * number) if number else now))
    ids = [(closing_id(plan, number), started) for number, started in due]
    return [RunRecord(id_, runs.execution_of(id_), at, at + lasting, 0, 0, 0, {}) for id_, at in ids]


def is_needless(run: RunRecord, store: ObjectStore, leases: Leases, datasets: Mapping[str, Dataset]) -> bool:
    """Whether it is a closing of a run that owes nothing any more, and need not be started."""
    return run.id != plan_of_run(run.id)[0] and not owes(run, store, leases, datasets)


def _may_still_settle(plan: str, store: ObjectStore, datasets: Mapping[str, Dataset]) -> bool:
    """Whether of a batch that asks for a kickoff nobody has written yet what became of it."""
    asking = {name for name, dataset in datasets.items() if dataset.kick_off}
    try:
        if is_backfill(plan):
            done = sum_backfill(store, datasets, plan)[0].datasets
            return any(totals.unsettled for name, totals in done.items() if name in asking)
        batches = read_plan(store, plan).batches
    except PermanentError:
        return False
    return any(
        batch.dataset in asking and not any(store.keys(settled_batch_key(plan, batch.number))) for batch in batches
    )


def owes(run: RunRecord, store: ObjectStore, leases: Leases, datasets: Mapping[str, Dataset]) -> bool:
    """Whether a kickoff that the run's plan asks for has not been started."""
    plan, _ = plan_of_run(run.id)
    wanted: Iterable[str]
    try:
        if is_backfill(plan):
            wanted = sum_backfill(store, datasets, plan)[0].fresh
        else:
            wanted = to_kick_off(store, datasets, read_plan(store, plan))
    except PermanentError:
        return False  # Its plan has expired, and what became of it with it.
    return any(leases.claim_kick_off(plan, name) for name in wanted)
