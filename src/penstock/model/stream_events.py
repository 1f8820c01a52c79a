"""Events as a stream carries them: JSON Lines in a record, each counted under its type and minute, or poison."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

LONGEST_ID, LONGEST_TYPE = 256, 100
"""Characters: both are parts of keys, and DynamoDB takes one of 2,048 bytes."""

LONGEST_RAW = 16 * 2**10
"""Bytes of lines that go with their letter: ten letters, in base64, fit a request of 256 KiB. A longer line is read
back from the stream by its record's number."""


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
    """A line that is no event, or several in a row. `line` is the first one's place in the record, from 1."""

    sequence: str
    line: int
    reason: str
    raw: bytes
    key: str = ""
    """The record's partition key, under which the line may be sent again."""


def events_of(record: StreamRecord, fields: EventFields) -> Iterator[tuple[int, StreamEvent | Poison]]:
    """Each with the place of its last line; an aggregated record holds several. Empty lines are nothing.

    Lines in a row that are none are one poison, up to `LONGEST_RAW`: a file that was put into the stream by mistake, or
    a document of many lines, would else be as many letters.
    """
    poison: list[bytes] = []
    first, size, why = 0, 0, ""

    def aside() -> Poison:
        more = f", and {len(poison) - 1:,} more in a row are no events" if len(poison) > 1 else ""
        return Poison(record.sequence, first, why + more, b"\n".join(poison), record.key)

    number = 0
    for number, raw in enumerate(record.data.rstrip().split(b"\n"), 1):
        if not raw.strip():
            continue
        try:
            event = _event(raw, fields)
        except ValueError as refused:
            if poison and size + len(raw) > LONGEST_RAW:
                yield number - 1, aside()
                poison = []
            if not poison:
                first, size, why = number, 0, str(refused)
            poison.append(raw)
            size += len(raw) + 1
        else:
            if poison:
                yield number - 1, aside()
                poison = []
            yield number, event
    if poison:
        yield number, aside()


def end_of(record: StreamRecord) -> Position:
    """Where a shard stands when the whole record is counted."""
    lines = record.data.rstrip()
    return Position(int(record.sequence), lines.count(b"\n") + 1 if lines else 0)


def _event(raw: bytes, fields: EventFields) -> StreamEvent:
    """Raises ValueError with what an operator reads."""
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error.msg}") from None
    if not isinstance(found, dict):
        raise ValueError("is no JSON object")
    name, kind = _text(found, fields.id, LONGEST_ID), _text(found, fields.type, LONGEST_TYPE)
    if not kind.isprintable():  # It is shown in terminals.
        raise ValueError(f'has control characters in "{fields.type}"')
    return StreamEvent(name, kind, _minute(found.get(fields.at), fields.at))


def _text(found: dict[str, object], field: str, longest: int) -> str:
    value = found.get(field)
    if not isinstance(value, str) or not value:
        raise ValueError(f'has no text in "{field}"')
    if len(value) > longest:
        raise ValueError(f'has {len(value)} characters in "{field}"; {longest} is the most')
    return value


def _minute(value: object, field: str) -> datetime:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        if at and at.tzinfo:
            return at.astimezone(UTC).replace(second=0, microsecond=0)
    except (ValueError, OverflowError):  # The first and the last day there is may be over in UTC.
        pass
    raise ValueError(f'has no time with its zone in "{field}", as 2013-01-01T10:00:00Z')
