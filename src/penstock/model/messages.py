"""Messages of a queue as lines of events: a message is one event, and its own id tells it where the event has none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

import orjson

EVENT_ID = "event_id"

_ON_ONE_LINE = {ord("\n"): " ", ord("\r"): " "}
"""JSON has newlines between values alone: none stands for one in a text."""


@dataclass(frozen=True, slots=True)
class Message:
    """`id` is the queue's own, the same however often it is delivered; `place` orders a FIFO queue's, else 0."""

    id: str
    body: str
    sent: datetime
    place: int = 0


def line_of(message: Message) -> bytes:
    """Its event on one line, as it is written but for `event_id`, which it gets where it has none.

    Raises ValueError with what an operator reads.
    """
    try:
        found = orjson.loads(message.body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error.msg}") from None
    if not isinstance(found, dict):
        raise ValueError("is no JSON object")
    line = message.body.strip().translate(_ON_ONE_LINE)
    if EVENT_ID not in found:
        rest = line[1:].lstrip()
        line = f'{{"{EVENT_ID}":"{message.id}"{"" if rest == "}" else ","}{rest}'
    elif found[EVENT_ID] in (None, ""):
        raise ValueError(f"has an {EVENT_ID} that is empty: leave it out, and the message's own is taken")
    return line.encode()


def key_of(prefix: str, messages: Iterable[Message]) -> str:
    """The same messages have the same key, in the hour in which the first of them was sent."""
    packed = list(messages)
    first = min(message.sent for message in packed)
    ids = "\n".join(sorted(message.id for message in packed))
    digest = blake2b(ids.encode(), digest_size=16).hexdigest()
    return f"{prefix}{first:%Y/%m/%d/%H}/{first:%Y%m%dT%H%M%S}-{digest}.jsonl"
