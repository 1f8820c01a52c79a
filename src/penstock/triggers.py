"""What asked for a listing. The answer is logged, and nothing else depends on it: the listing is the truth."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any


class Trigger(StrEnum):
    ARRIVAL = "arrival"
    """An S3 notification, or EventBridge's shape of it."""
    TEST = "test"
    """`s3:TestEvent`: S3 sends it when a notification is set up."""
    SCHEDULE = "schedule"
    RUN_ENDED = "run ended"
    """A run is over, well or badly: what it held is free, and so is the room that it took."""
    OTHER = "other"
    """By hand, or a shape not known here: a reason to look like any other."""


def triggers_of(event: Mapping[str, Any]) -> dict[Trigger, int]:
    """How often each asked. An SQS batch counts every message in it, and an S3 notification every record."""
    return dict(Counter(_triggers(event)))


def due(event: Mapping[str, Any]) -> datetime | None:
    """When the rule that sent it was due; None for what no rule sent."""
    if _of_eventbridge(event) is not Trigger.SCHEDULE:
        return None
    try:
        at = datetime.fromisoformat(str(event.get("time")))
    except ValueError:
        return None
    return at if at.tzinfo else None


def _triggers(event: Mapping[str, Any]) -> Iterator[Trigger]:
    records = event.get("Records")
    if isinstance(records, list) and records:
        for record in records:
            yield from _of_record(record if isinstance(record, Mapping) else {})
    elif event.get("Event") == "s3:TestEvent":
        yield Trigger.TEST
    else:
        yield _of_eventbridge(event)


def _of_record(record: Mapping[str, Any]) -> Iterator[Trigger]:
    match record.get("eventSource"):
        case "aws:s3":
            yield Trigger.ARRIVAL
        case "aws:sqs":
            yield from _of_body(record.get("body"))
        case _:
            yield Trigger.OTHER


def _of_body(body: object) -> Iterator[Trigger]:
    try:
        inner = json.loads(body) if isinstance(body, str) else None
    except ValueError:
        inner = None
    if isinstance(inner, dict):
        yield from _triggers(inner)
    else:
        yield Trigger.OTHER


def _of_eventbridge(event: Mapping[str, Any]) -> Trigger:
    match event.get("source"), event.get("detail-type"):
        case "aws.s3", "Object Created":
            return Trigger.ARRIVAL
        case "aws.events" | "aws.scheduler", _:
            return Trigger.SCHEDULE
        case "aws.states", "Step Functions Execution Status Change":
            return Trigger.RUN_ENDED
        case _:
            return Trigger.OTHER
