"""Reading a plan back: every state of a run begins with it."""

from __future__ import annotations

from penstock.model.errors import PermanentError
from penstock.model.plans import Batch, Plan, plan_key
from penstock.ports import ObjectStore


def read_plan(store: ObjectStore, plan_id: str) -> Plan:
    """Raises PermanentError when there is no such plan, or when it is of a format that this code does not know."""
    key = plan_key(plan_id)
    try:
        raw = store.get_json(key)
    except KeyError:
        raise PermanentError(
            f"there is no plan at {key}. Was plans/ cleared while the run went on? Stop the run: the next listing "
            "plans its files again."
        ) from None
    return Plan.from_json(raw)


def read_batch(store: ObjectStore, plan_id: str, number: int) -> Batch:
    """The plan's batch `number`, from 0. Raises PermanentError as `read_plan` does, and when the plan has no such."""
    plan = read_plan(store, plan_id)
    if not 0 <= number < len(plan.batches):
        raise PermanentError(f"plan {plan_id} has {len(plan.batches)} batches, and no batch {number}")
    return plan.batches[number]
