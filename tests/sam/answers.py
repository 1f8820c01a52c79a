"""What every function answers to its files of events/, one after the other, as in a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.sam.world import PLAN, World

Invoke = Callable[[str, dict[str, Any]], dict[str, Any]]
"""Takes a function's logical id and an event, and gives its answer, or the error as Lambda reports it."""


@dataclass(frozen=True)
class Step:
    function: str
    event: str
    answer: dict[str, Any] = field(default_factory=dict)
    """What the answer holds; it may hold more."""


BEFORE_ANYTHING_ARRIVED = (
    Step("ApplyDatasets", "apply-datasets.json"),
    Step("ListIncoming", "sqs-s3-test-event.json", {"listed": False}),
    *(
        Step("ListIncoming", event, {"listed": True, "plans": []})
        for event in (
            "s3-put.json",
            "sqs-s3-put.json",
            "eventbridge-object-created.json",
            "schedule-tick.json",
            "execution-failed.json",
        )
    ),
    Step("BeginLoad", "begin-load.json", {"errorType": "PermanentError"}),  # There is no such plan yet.
    Step("PlanBackfill", "plan-backfill.json", {"errorType": "PermanentError"}),  # Nobody has started it.
)
AFTER_A_FILE_ARRIVED = (
    Step("BeginLoad", "begin-load.json", {"status": "done", "handle": ""}),
    Step("WorkParquet", "work-parquet.json", {"status": "done"}),  # It is loaded already, whoever did it.
    Step("PollLoad", "poll-load.json", {"status": "done"}),
    Step("IndexBatch", "index-batch.json", {"status": "done", "documents": 2, "rejected": 0}),
    Step("IndexBatch", "index-batch-after-load.json", {"status": "done", "documents": 2}),
    Step("SettleBatch", "settle-batch.json", {"processed": 1, "failed": 0, "put_back": 0}),
    Step("SettleBatch", "settle-batch-failed-search.json", {"processed": 1, "put_back": 0}),  # It was decided already.
    Step("SummariseRun", "summarise-run.json", {"ok": True, "kick_offs": [{"plan": PLAN, "dataset": "flights"}]}),
    Step("RebuildViews", "rebuild-views.json"),
    Step("KickOff", "kick-off.json"),
    Step("Reconcile", "reconcile-schedule.json"),
    Step("ProcessStream", "stream-batch.json", {"batchItemFailures": []}),
    Step("PackMessages", "messages-batch.json", {"batchItemFailures": []}),
    Step("WatchRate", "watch-rate.json", {"rates": 1, "told": 0, "episodes": 0}),
)


def play(world: World, invoke: Invoke) -> dict[str, list[str]]:
    """Every event through its function. What was wrong, by function: nothing at all where all is well."""
    wrong: dict[str, list[str]] = {}

    def do(step: Step) -> None:
        answer = invoke(step.function, world.event(step.event))
        expected = "errorType" in step.answer or "errorType" not in answer
        if not expected or any(answer.get(name) != value for name, value in step.answer.items()):
            wrong.setdefault(step.function, []).append(f"{step.event} → {answer}, not {step.answer}")

    for step in BEFORE_ANYTHING_ARRIVED:
        do(step)
    if world.told_cloudformation() != "SUCCESS":
        wrong.setdefault("ApplyDatasets", []).append("it told CloudFormation that it failed")
    world.arrive()
    for step in AFTER_A_FILE_ARRIVED:
        do(step)
    return wrong
