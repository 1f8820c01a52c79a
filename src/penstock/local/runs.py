"""What happened in a run: its plan, what became of each batch, and what its execution's history tells."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from penstock.adapters.pipelines import status_of
from penstock.local.deployment import Deployment
from penstock.local.history import History, history_of
from penstock.model.backfills import is_backfill
from penstock.model.errors import PermanentError
from penstock.model.outcomes import SettledArrival, SettledBatch, Settlement
from penstock.model.plans import Batch, Plan, plan_key, plan_of_run, settled_batch_key, summary_key
from penstock.ports import RunRecord, RunStatus


@dataclass(frozen=True)
class Run:
    """A run as the list of runs shows it. `ended` is None while it is RUNNING."""

    id: str
    status: str
    started: datetime
    ended: datetime | None
    record: RunRecord | None

    @property
    def lasted(self) -> timedelta | None:
        return self.ended - self.started if self.ended else None

    def to_json(self) -> dict[str, Any]:
        record = self.record
        return {
            "id": self.id,
            "status": self.status,
            "started": self.started.isoformat(),
            "ended": self.ended.isoformat() if self.ended else None,
            "batches": record.batches if record else None,
            "files": record.files if record else None,
            "bytes": record.bytes if record else None,
            "datasets": dict(record.datasets) if record else {},
        }


@dataclass(frozen=True)
class BatchStory:
    """`settled` is None for a batch that is not settled (yet)."""

    batch: Batch
    settled: SettledBatch | None

    def count(self, settlement: Settlement) -> int:
        return sum(1 for arrival in self.arrivals if arrival.settlement is settlement)

    @property
    def arrivals(self) -> Sequence[SettledArrival]:
        return self.settled.arrivals if self.settled else ()

    def to_json(self) -> dict[str, Any]:
        return {
            "batch": self.batch.number,
            "dataset": self.batch.dataset,
            "files": len(self.batch.arrivals),
            "bytes": self.batch.size,
            "settled": self.settled is not None,
            "processed": self.count(Settlement.PROCESSED),
            "failed": self.count(Settlement.FAILED),
            "put_back": self.count(Settlement.PUT_BACK),
            "duplicates": sum(arrival.duplicate for arrival in self.arrivals),
            "rows": sum(arrival.rows for arrival in self.arrivals),
            "rejects": sum(arrival.rejects for arrival in self.arrivals),
            "documents": sum(arrival.documents for arrival in self.arrivals),
            "troubles": [
                {"key": arrival.key, "settlement": str(arrival.settlement), "reason": arrival.reason}
                for arrival in self.arrivals
                if arrival.reason
            ],
        }


@dataclass(frozen=True)
class RunStory:
    run: Run
    history: History
    batches: Sequence[BatchStory]
    summary: Mapping[str, Any] = field(default_factory=dict)
    kick_offs: Mapping[str, str] = field(default_factory=dict)
    """By dataset, what it started: a reference that can be looked up."""
    after: Mapping[str, str] = field(default_factory=dict)
    """By dataset, what has become of it."""
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            **self.run.to_json(),
            "error": self.error or None,
            "transitions": self.history.transitions,
            "retries": self.history.retries,
            "batches": [story.to_json() for story in self.batches],
            "kick_offs": dict(self.kick_offs),
            "after": dict(self.after),
            "summary": dict(self.summary),
        }


def list_runs(deployment: Deployment, limit: int) -> list[Run]:
    """The newest first. Step Functions says how a run ended; the lease table only what it held."""
    records = {record.id: record for record in deployment.leases.runs(limit)}
    client = deployment.client("stepfunctions")
    found: dict[str, Run] = {}
    for page in client.get_paginator("list_executions").paginate(stateMachineArn=deployment.machine):
        for execution in page["executions"]:
            name = execution["name"]
            found[name] = Run(
                name, execution["status"], execution["startDate"], execution.get("stopDate"), records.get(name)
            )
        if len(found) >= limit:
            break
    for record in records.values():
        # Older than the executions that Step Functions keeps.
        found.setdefault(record.id, Run(record.id, str(record.status), record.started, record.ended, record))
    return sorted(found.values(), key=lambda run: (run.started, run.id), reverse=True)[:limit]


def find_run(deployment: Deployment, wanted: str) -> Run:
    """By its id, the beginning of it, or `last`. Raises PermanentError when that is no run, or several."""
    runs = list_runs(deployment, limit=1000)
    if not runs:
        raise PermanentError("there was no run yet. Files in incoming/ start one: penstock put FILE --dataset NAME")
    if wanted == "last":
        return runs[0]
    named = [run for run in runs if run.id.startswith(wanted)]
    # A run that was closed again is meant itself, where its closings are not named.
    exact = (
        [run for run in named if run.id == wanted]
        or [run for run in named if plan_of_run(run.id)[0] == run.id]
        or named
    )
    if len(exact) != 1:
        what = "no run has an id that" if not exact else f"{len(exact)} runs have ids that"
        raise PermanentError(f"{what} begin{'s' if not exact else ''} with {wanted}. penstock runs lists them")
    return exact[0]


def tell(deployment: Deployment, run: Run) -> RunStory:
    """All there is to know of it. Raises PermanentError when its plan has expired."""
    plan_id, _ = plan_of_run(run.id)
    if is_backfill(plan_id):
        told = _summary(deployment, plan_id).get("message", "It has no summary yet: that is written at its end.")
        raise PermanentError(f"{run.id} is of a backfill, which has no plan of its own. {told}")
    try:
        plan = Plan.from_json(deployment.store.get_json(plan_key(plan_id)))
    except KeyError:
        raise PermanentError(f"the plan of run {run.id} is gone: it expired with the other plans") from None
    stories = [BatchStory(batch, _settled(deployment, plan_id, batch.number)) for batch in plan.batches]
    execution = f"{deployment.machine.replace(':stateMachine:', ':execution:')}:{run.id}"
    client = deployment.client("stepfunctions")
    events = list(_events(client, execution))
    definition = json.loads(client.describe_state_machine(stateMachineArn=deployment.machine)["definition"])
    return RunStory(
        run,
        history_of(events, definition),
        stories,
        _summary(deployment, plan_id),
        started := kick_offs(deployment, plan_id),
        {dataset: status_of(deployment.client, reference) for dataset, reference in started.items()},
        _error(events),
    )


def kick_offs(deployment: Deployment, run: str) -> dict[str, str]:
    client = deployment.client("dynamodb")
    pages = client.get_paginator("query").paginate(
        TableName=deployment.outputs["LeaseTable"],
        KeyConditionExpression="pk = :kind AND begins_with(sk, :run)",
        ExpressionAttributeValues={":kind": {"S": "kick_off"}, ":run": {"S": f"{run}#"}},
    )
    items = [item for page in pages for item in page["Items"]]
    return {item["sk"]["S"].partition("#")[2]: item["reference"]["S"] for item in items}


def _events(client: Any, execution: str) -> Iterator[Mapping[str, Any]]:
    pages = client.get_paginator("get_execution_history").paginate(executionArn=execution)
    for page in pages:
        yield from page["events"]


def _settled(deployment: Deployment, run: str, number: int) -> SettledBatch | None:
    try:
        return SettledBatch.from_json(deployment.store.get_json(settled_batch_key(run, number)))
    except KeyError:
        return None


def _summary(deployment: Deployment, run: str) -> Mapping[str, Any]:
    try:
        summary: Mapping[str, Any] = deployment.store.get_json(summary_key(run))
    except KeyError:
        return {}
    return summary


def _error(events: Sequence[Mapping[str, Any]]) -> str:
    for event in reversed(events):
        for kind in ("executionFailed", "executionTimedOut", "executionAborted"):
            if details := event.get(f"{kind}EventDetails"):
                return ": ".join(filter(None, (details.get("error"), details.get("cause"))))
    return ""


def still_running(run: Run) -> bool:
    return run.status == RunStatus.RUNNING
