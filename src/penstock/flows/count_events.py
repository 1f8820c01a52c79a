"""Counts a shard's events exactly once, whatever is delivered twice, and puts aside what is no event.

Records come in the order of their shard, and come again when anything of a batch failed. What is counted and how far
the shard has come are written in one transaction, so a line is behind the watermark if and only if it is counted. An
event that its producer sent twice is told by its id, for as long as ids are remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock.model.stream_events import EventFields, Poison, Position, StreamEvent, StreamRecord, end_of, events_of
from penstock.ports.counts import MOST, Counts

Line = tuple[Position, StreamEvent | Poison | None]


@dataclass(slots=True)
class Counted:
    """What one call did, in lines; `writes` are items in transactions, refused ones too, which bill two units each."""

    events: int = 0
    repeats: int = 0
    replayed: int = 0
    """Behind the watermark."""
    poison: int = 0
    """Lines in a row are one."""
    writes: int = 0


def count_events(
    counts: Counts,
    put_aside: Callable[[Sequence[Poison]], None],
    shard: str,
    records: Iterable[StreamRecord],
    fields: EventFields,
    now: datetime,
    window: timedelta,
) -> Counted:
    """`window` is how long an id is remembered; zero remembers none. Poison is put aside before the shard passes it.

    Raises TransientError when another worker counts the shard; what is counted by then stays counted, once.
    """
    counted = Counted()
    after = counts.watermark(shard)
    waiting = [line for record in records for line in _lines(record, fields)]
    ahead = [line for line in waiting if line[0] > after]
    counted.replayed = len(waiting) - len(ahead)
    for chunk in _chunks(ahead, remembering=bool(window)):
        poison = [line for _, line in chunk if isinstance(line, Poison)]
        if poison:
            put_aside(poison)
            counted.poison += len(poison)
        upto = chunk[-1][0]
        events = [line for _, line in chunk if isinstance(line, StreamEvent)]
        new, writes = _add(counts, shard, after, upto, events, now + window if window else None)
        counted.writes += writes
        counted.events += new
        counted.repeats += len(events) - new
        after = upto
    return counted


def _lines(record: StreamRecord, fields: EventFields) -> Iterator[Line]:
    """Its lines with their places; one without any has to be passed all the same."""
    there = False
    for number, line in events_of(record, fields):
        there = True
        yield Position(int(record.sequence), number), line
    if not there:
        yield end_of(record), None


def _chunks(lines: Sequence[Line], *, remembering: bool) -> Iterator[list[Line]]:
    """As many as one transaction takes: a tally for each type and minute, and for each event its id."""
    chunk: list[Line] = []
    actions: set[object] = set()
    for line in lines:
        event = line[1]
        more: set[object] = set()
        if isinstance(event, StreamEvent):
            more = {(event.type, event.minute), event.id} if remembering else {(event.type, event.minute)}
        if len(actions | more) > MOST:
            yield chunk
            chunk, actions = [], set()
        chunk.append(line)
        actions |= more
    if chunk:
        yield chunk


def _add(
    counts: Counts,
    shard: str,
    after: Position,
    upto: Position,
    events: Sequence[StreamEvent],
    remembered: datetime | None,
) -> tuple[int, int]:
    """How many of the events were new, and how many items it took to write them."""
    known: frozenset[str] = frozenset()
    writes = 0
    while True:
        new = _first_of_each([event for event in events if event.id not in known]) if remembered else list(events)
        tallies = Counter((event.type, event.minute) for event in new)
        ids = [event.id for event in new] if remembered else []
        writes += len(tallies) + len(ids) + 1
        more = counts.add(shard, after, upto, tallies, ids, remembered)
        if not more:
            return len(new), writes
        known |= more


def _first_of_each(events: Sequence[StreamEvent]) -> list[StreamEvent]:
    """A chunk may hold one twice itself: the first counts, as it would have in a chunk of its own."""
    return list({event.id: event for event in reversed(events)}.values())
