"""An event as it goes over the wire: a line of JSON with an id."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from penstock.model.errors import PermanentError, TransientError
from penstock.model.stream_events import LONGEST_ID

EVENT_ID = "event_id"
"""The field that tells a repeat. A producer's own is kept; else one is made."""

MAX_RECORD = 2**20
"""Bytes of a record's data and partition key together.
https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecordsRequestEntry.html"""
MAX_KEY = 256
"""Characters of a partition key; here bytes, since how a service counts an emoji is not said."""


_OVERHEAD = 400
"""Bytes that an event takes in memory beside its line, give or take."""


class EventError(PermanentError):
    """It can't be an event: no JSON object, or longer than a record may be."""


class BufferFullError(TransientError):
    """The buffer is full, and its owner wants to hear of it rather than to wait."""


class ClosedError(PermanentError):
    """The producer was closed: it takes no more events."""


class Event(NamedTuple):
    """A tuple, since it is made for each event that is put."""

    key: str
    """What orders it: events of one key arrive as they were put."""
    id: str
    line: bytes
    """JSON, UTF-8, ended by a newline."""


@dataclass(frozen=True, slots=True)
class Undelivered:
    """An event that is handed back, and why it could not be sent."""

    event: Event
    reason: str


def encode(event: Mapping[str, Any], key: str | None = None) -> Event:
    """Raises EventError. Without a key its id is the key, which spreads events over the shards and orders none."""
    own = event.get(EVENT_ID)
    if own is not None and not (isinstance(own, str) and own):
        raise EventError(f"{EVENT_ID} is a text that is not empty; this one is of type {type(own).__name__}")
    if own and len(own) > LONGEST_ID:
        raise EventError(f"{EVENT_ID} has {len(own)} characters, and {LONGEST_ID} is the most that is counted")
    name = own or os.urandom(16).hex()
    try:
        line = orjson.dumps(event if own else {EVENT_ID: name, **event}, option=orjson.OPT_APPEND_NEWLINE)
    except (orjson.JSONEncodeError, TypeError) as error:
        raise EventError(f"event {name} can't be written as JSON: {error}") from None
    if key == "":
        raise EventError(f"event {name} has an empty key. Leave it out where order doesn't matter")
    made = Event(key or name, name, line)
    try:
        size = len(line) + len(partition_key(made.key).encode())
    except UnicodeEncodeError:
        raise EventError(f"event {name} has a key that can't be written in UTF-8") from None
    if size > MAX_RECORD:
        raise EventError(f"event {name} takes {size:,} bytes, and a record may take {MAX_RECORD:,}. Send less in it")
    return made


def partition_key(key: str) -> str:
    """What Kinesis might find too long is known by its hash."""
    if len(key) <= MAX_KEY // 4 or len(raw := key.encode()) <= MAX_KEY:
        return key
    return blake2b(raw, digest_size=32).hexdigest()


def held_bytes(event: Event) -> int:
    """What it takes of the buffer, about."""
    return len(event.line) + len(event.key) + _OVERHEAD
