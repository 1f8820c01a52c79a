"""Whether a file of a dataset without a table was refused for good: there is no load ledger to ask, so S3 is asked.

`settle_batch` writes the reason beside where the file will lie, then its decision to `settling/`, and only then takes
the documents out and moves the file. So an indexing that outlives its caller, and asks after it has written, is told;
what it had written before the decision stood, the settling takes out. The decision binds later runs as well, until an
operator retries the file: as a quarantine in the load ledger does.
"""

from __future__ import annotations

from penstock.flows.plan_of import read_plan
from penstock.flows.set_aside import REASON, companion_key
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.model.outcomes import SettledBatch, Settlement
from penstock.model.plans import settling_key
from penstock.ports import ObjectStore


def refusal_of(store: ObjectStore, dataset: Dataset, arrival: Arrival) -> str:
    """Why it was refused; empty when it wasn't, or when a retry of it goes on or ended well."""
    try:
        told = store.get_json(companion_key(arrival, dataset.name, dataset.prefix, REASON))
    except KeyError:
        return ""
    if "settled" in told or told["retry"] < arrival.retry or not _stands(store, told["run"], arrival):
        return ""
    return str(told["reason"])


def _stands(store: ObjectStore, plan_id: str, arrival: Arrival) -> bool:
    """Whether the run that gave the reason has decided so: one that died before that left the file in `incoming/`."""
    try:
        plan = read_plan(store, plan_id)
        number = next(batch.number for batch in plan.batches if any(one.id == arrival.id for one in batch.arrivals))
        settling = SettledBatch.from_json(store.get_json(settling_key(plan_id, number))["batch"])
    except (PermanentError, KeyError, StopIteration):
        return False
    return any(one.arrival == arrival.id and one.settlement is Settlement.FAILED for one in settling.arrivals)
