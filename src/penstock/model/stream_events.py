"""Events as a stream carries them: JSON Lines in a record, each counted under its type and minute, or poison."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

LONGEST_TYPE = 100
"""Characters: a type is part of a key."""


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """`sequence` is Kinesis' number of it: decimal digits, growing within a shard. `key` is its partition key."""

    sequence: str
    data: bytes
    key: str = ""


class Position(NamedTuple):
    """Up to where a shard is counted: a record, and how many of its lines."""

    sequence: int
    lines: int

    def __str__(self) -> str:
        return f"{self.sequence}:{self.lines}"

    @classmethod
    def parse(cls, text: str) -> Position:
        sequence, _, lines = text.partition(":")
        return cls(int(sequence), int(lines))


BEGINNING = Position(-1, 0)


@dataclass(frozen=True, slots=True)
class EventFields:
    """Where in an event its id, its type and its time are."""

    id: str = "event_id"
    type: str = "type"
    at: str = "at"


@dataclass(frozen=True, slots=True)
class StreamEvent:
    id: str
    type: str
    minute: datetime
    """In UTC. The event's own time says which, however late it comes."""


@dataclass(frozen=True, slots=True)
class Poison:
    """A line that is no event. `line` is its place in the record, from 1."""

    sequence: str
    line: int
    reason: str
    raw: bytes
    key: str = ""
    """The record's partition key, under which the line may be sent again."""


def events_of(record: StreamRecord, fields: EventFields) -> Iterator[StreamEvent | Poison]:
    """Line by line; an aggregated record holds several. Empty lines are nothing."""
    for number, raw in enumerate(record.data.split(b"\n"), 1):
        if not raw.strip():
            continue
        try:
            yield _event(raw, fields)
        except ValueError as refused:
            yield Poison(record.sequence, number, str(refused), raw, record.key)


def end_of(record: StreamRecord) -> Position:
    """Where a shard stands when the whole record is counted."""
    return Position(int(record.sequence), sum(1 for raw in record.data.split(b"\n") if raw.strip()))


def _event(raw: bytes, fields: EventFields) -> StreamEvent:
    """Raises ValueError with what an operator reads."""
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error.msg}") from None
    if not isinstance(found, dict):
        raise ValueError("is no JSON object")
    name, kind = _text(found, fields.id), _text(found, fields.type)
    if len(kind) > LONGEST_TYPE:
        raise ValueError(f"has a {fields.type} of {len(kind)} characters; {LONGEST_TYPE} is the most")
    return StreamEvent(name, kind, _minute(found.get(fields.at), fields.at))


def _text(found: dict[str, object], field: str) -> str:
    value = found.get(field)
    if not isinstance(value, str) or not value:
        raise ValueError(f"has no {field}, or one that is no text")
    return value


def _minute(value: object, field: str) -> datetime:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError(f"has no {field} that is a time with its zone, as 2013-01-01T10:00:00Z")
    return at.astimezone(UTC).replace(second=0, microsecond=0)
