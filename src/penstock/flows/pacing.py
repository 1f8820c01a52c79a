"""What runs that are over say about a dataset's pace, and what each dataset may take of the room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from penstock.flows.plan_of import read_plan
from penstock.flows.planning import Share
from penstock.flows.remembering import Remembered
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.model.huge import MEASURED_FROM, expected_bytes
from penstock.model.pacing import Shown, adapted, pace_of
from penstock.model.plans import Plan, settled_batch_key, summary_key
from penstock.ports import ObjectStore, RunRecord


def adapt(
    store: ObjectStore,
    over: Sequence[RunRecord],
    live: Sequence[RunRecord],
    datasets: Mapping[str, Dataset],
    remembered: Remembered,
    now: datetime,
) -> None:
    """Costs a listing and two reads for each run that is over and worked a dataset with a `pace`, or many bytes of one,
    and nothing else.
    """
    for run in over:
        paced = [dataset for name, dataset in datasets.items() if dataset.pace and name in run.datasets]
        heavy = [one for name, one in datasets.items() if run.sizes.get(name, 0) >= MEASURED_FROM]
        if not (paced or heavy) or run.claim:
            continue
        try:
            plan = read_plan(store, run.id)
        except PermanentError:
            continue  # It expired, or is of a format that this code does not know: nothing can be learnt of it.
        summary, settled = _summary(store, run.id), _settled(store, plan)
        for dataset in heavy:
            if rate := _rate(plan, dataset, summary, settled):
                memo = remembered.dataset(dataset.name)
                known = (memo.rate + rate) // 2 if memo.rate else rate
                remembered.change(dataset.name, memo.model_copy(update={"rate": known}))
        for dataset in paced:
            if dataset.pace is None:
                continue
            shown = _shown(run, plan, dataset.name, summary, settled, now)
            memo = adapted(dataset.pace, remembered.dataset(dataset.name), shown, _files(live, dataset.name), now)
            remembered.change(dataset.name, memo)


def _rate(plan: Plan, dataset: Dataset, summary: Any, settled: Mapping[str, datetime]) -> int:
    """The best that one of its large batches has shown, from the plan to its settling: others may have waited for it.

    Nothing of a run in which something was put back: that was no measure of bytes.
    """
    totals = (summary or {}).get("datasets", {}).get(dataset.name)
    if not totals or totals["put_back"] or totals.get("failed"):
        return 0
    rates = [0.0]
    for batch in plan.batches:
        end = settled.get(settled_batch_key(plan.id, batch.number))
        if batch.dataset == dataset.name and batch.size >= MEASURED_FROM and end and end > plan.created:
            expected = sum(expected_bytes(dataset, arrival) for arrival in batch.arrivals)
            rates.append(expected / (end - plan.created).total_seconds())
    return int(max(rates))


def _summary(store: ObjectStore, run: str) -> Any:
    try:
        return store.get_json(summary_key(run))
    except KeyError:
        return None


def _settled(store: ObjectStore, plan: Plan) -> Mapping[str, datetime]:
    folder = settled_batch_key(plan.id, 0).rpartition("/")[0] + "/"
    return {found.key: found.modified for found in store.objects(folder)}


def _shown(
    run: RunRecord, plan: Plan, name: str, summary: Any, settled: Mapping[str, datetime], now: datetime
) -> Shown:
    numbers = [batch.number for batch in plan.batches if batch.dataset == name]
    ends = [settled.get(settled_batch_key(plan.id, number)) for number in numbers]
    whole = [end for end in ends if end]
    last = max(whole) if len(whole) == len(ends) and whole else now
    totals = (summary or {}).get("datasets", {}).get(name)
    return Shown(
        started=run.started,
        files=run.datasets[name],
        put_back=totals["put_back"] - totals.get("died", 0) if totals else 0,
        seconds=(last - plan.created).total_seconds(),
        settled=totals is not None and last is not now,
    )


def shares(
    datasets: Mapping[str, Dataset],
    names: Iterable[str],
    live: Sequence[RunRecord],
    remembered: Remembered,
    files: int,
    size: int,
) -> Mapping[str, Share]:
    """Of each of `names`: what live runs hold of it, what its pace allows, and its fair part of `files` and `size`."""
    names = tuple(names)
    found: dict[str, Share] = {}
    for name in names:
        pace = datasets[name].pace if name in datasets else None
        may = pace_of(pace, remembered.dataset(name)) if pace else files
        found[name] = Share(
            held_files=_files(live, name),
            held_bytes=sum(min(run.sizes.get(name, 0), run.bytes) for run in live),
            most_files=may,
            most_bytes=pace.max_bytes * may // pace.max_files if pace else size,
            fair_files=files // len(names),
            fair_bytes=size // len(names),
        )
    return found


def _files(live: Iterable[RunRecord], name: str) -> int:
    # A backfill's record names all files of its claim, and leases those that it works at once.
    return sum(min(run.datasets.get(name, 0), run.files) for run in live)
