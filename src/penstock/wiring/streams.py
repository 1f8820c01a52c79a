"""What events and messages are worked with: their counts and rates, what is put aside, whom a notice reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from penstock.model.errors import PermanentError
from penstock.wiring.environment import client, settings
from penstock.wiring.files import clock

if TYPE_CHECKING:
    from penstock.adapters.sqs_poison import SqsPoison
    from penstock.model.rates import Rate
    from penstock.model.stream_events import EventFields
    from penstock.ports.counts import Counts
    from penstock.ports.watches import Notices, Watches


@dataclass(frozen=True, slots=True)
class Streaming:
    """Where an event's type and time stand, and for how long its id is remembered."""

    fields: EventFields
    window: timedelta


@cache
def streaming() -> Streaming:
    from penstock.model.stream_events import EventFields

    known = settings()
    fields = EventFields(type=known.stream_type_field, at=known.stream_time_field)
    return Streaming(fields, timedelta(minutes=known.stream_dedupe_minutes))


@cache
def counts() -> Counts:
    from penstock.adapters.dynamodb_counts import DynamoCounts

    if not settings().counts_table:
        raise PermanentError("PENSTOCK_COUNTS_TABLE is not set: deploy with Stream, which makes the table")
    return DynamoCounts(client("dynamodb"), settings().counts_table, clock())


@cache
def rates() -> Mapping[str, Rate]:
    from penstock.model.rate_files import load_rates

    return load_rates(settings().datasets)


@cache
def watches() -> Watches:
    """In the counts' table, which `counts` has looked for."""
    from penstock.adapters.dynamodb_watches import DynamoWatches

    return DynamoWatches(client("dynamodb"), settings().counts_table)


@cache
def notices() -> Notices:
    from penstock.adapters.sns import SnsNotices

    return SnsNotices(client("sns"), settings().topic_arn)


@cache
def poison_queue() -> SqsPoison:
    from penstock.adapters.sqs_poison import SqsPoison

    return SqsPoison(client("sqs"), settings().stream_dead_letters_url)


def messages_prefix() -> str:
    """Where messages of the queue are packed to, below `incoming/`."""
    from penstock.model.arrivals import INCOMING

    if not settings().messages_prefix:
        raise PermanentError("PENSTOCK_MESSAGES_PREFIX is not set: deploy with Messages, which sets it")
    return f"{INCOMING}{settings().messages_prefix}"
