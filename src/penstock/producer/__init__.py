"""Sends events to a Kinesis stream, and loses none.

    with Producer("clicks", spill=Path("/var/spool/clicks")) as producer:
        producer.put({"type": "click", "page": "/"}, key="user-1")

An event is a JSON object. It goes as one line of JSON Lines with an `event_id`, so that a repeat can be told from it
anywhere downstream; several lines of one key may share a record (`aggregate`). Events of one key arrive in the order in
which they were put: while one is on its way, the next of its key waits.
"""

from penstock.producer.events import BufferFullError, ClosedError, Event, EventError, Undelivered, encode
from penstock.producer.producer import Counters, Producer

__all__ = [
    "BufferFullError",
    "ClosedError",
    "Counters",
    "Event",
    "EventError",
    "Producer",
    "Undelivered",
    "encode",
]
