"""What waits to be sent, in a lane for each key: one parcel of a lane is on its way at a time, so order is kept."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from penstock.producer.events import MAX_RECORD, Event, partition_key

MAX_PARCELS = 500
"""Records of one PutRecords. https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html"""
MAX_REQUEST = 5 * 2**20
"""Bytes of one PutRecords, partition keys included."""
MOST_SHARED = 500
"""Events of a record: of more Firehose does not find all, where it parts records into folders.
https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecord.html"""
MOST_REFUSED = 2_000
"""Lanes that wait to be tried again, from which on no others are begun with: a stream that is full is not asked by all
that wait for it, and what it has not been asked for yet does not lose its patience."""


@dataclass(slots=True)
class Parcel:
    """Events of one key that go as one record."""

    key: str
    events: list[Event]
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data) + len(partition_key(self.key).encode())


@dataclass(slots=True)
class _Lane:
    events: deque[Event]
    attempts: int = 0
    since: float = 0.0
    """When its first event was tried first; 0 before that."""


class Lanes:
    """Not safe for threads: its owner holds a lock. `aggregate` is the most bytes that events share as one record."""

    def __init__(self, aggregate: int = 0) -> None:
        self._aggregate = aggregate
        self._lanes: dict[str, _Lane] = {}
        self._fresh: deque[str] = deque()
        """Lanes of which the first parcel was not tried yet."""
        self._again: deque[str] = deque()
        """Lanes that were refused, and whose time has come."""
        self._refused = 0
        """Lanes of which the first parcel was refused, on its way or not."""
        self._later: list[tuple[float, int, str]] = []
        self._ticks = count()

    def __len__(self) -> int:
        """Lanes that hold something, on its way or not."""
        return len(self._lanes)

    def __contains__(self, key: str) -> bool:
        return key in self._lanes

    @property
    def ready(self) -> int:
        """Parcels that could go at once."""
        return len(self._again) + (len(self._fresh) if self._refused < MOST_REFUSED else 0)

    def add(self, event: Event) -> None:
        lane = self._lanes.get(event.key)
        if lane is None:
            self._lanes[event.key] = _Lane(deque([event]))
            self._fresh.append(event.key)
        else:
            lane.events.append(event)

    def wake(self, now: float) -> None:
        """Those whose time to be tried again has come are ready."""
        while self._later and self._later[0][0] <= now:
            self._again.append(heapq.heappop(self._later)[2])

    def next_due(self, now: float) -> float | None:
        """Seconds until one is to be tried again; None when none waits for that."""
        return max(0.0, self._later[0][0] - now) if self._later else None

    def take(self, now: float) -> list[Parcel]:
        """What one request carries. Their lanes stand still until each is `sent`, tried `again`, or given up."""
        taken: list[Parcel] = []
        size = 0
        while self.ready and len(taken) < MAX_PARCELS:
            waiting = self._again or self._fresh
            lane = self._lanes[waiting[0]]
            parcel = self._parcel(waiting[0], lane)
            size += parcel.size
            if size > MAX_REQUEST and taken:
                break
            waiting.popleft()
            lane.since = lane.since or now
            taken.append(parcel)
        return taken

    def sent(self, parcel: Parcel) -> None:
        """It is in the stream: the next of its lane may go."""
        lane = self._lanes[parcel.key]
        for _ in parcel.events:
            lane.events.popleft()
        self._refused -= lane.attempts > 0
        lane.attempts, lane.since = 0, 0.0
        if lane.events:
            self._fresh.append(parcel.key)
        else:
            del self._lanes[parcel.key]

    def again(self, parcel: Parcel, due: float) -> None:
        """It is to be tried again at `due`; nothing of its lane goes before."""
        lane = self._lanes[parcel.key]
        self._refused += not lane.attempts
        lane.attempts += 1
        heapq.heappush(self._later, (due, next(self._ticks), parcel.key))

    def attempts(self, parcel: Parcel) -> int:
        return self._lanes[parcel.key].attempts

    def tried_since(self, parcel: Parcel) -> float:
        return self._lanes[parcel.key].since

    def behind(self, parcel: Parcel) -> list[Event]:
        """The whole lane of a parcel, itself first: what comes behind it can't go before it."""
        return list(self._lanes[parcel.key].events)

    def drop(self, parcel: Parcel) -> None:
        """Its whole lane is given up."""
        self._refused -= self._lanes.pop(parcel.key).attempts > 0

    def everything(self) -> Iterator[Event]:
        for lane in self._lanes.values():
            yield from lane.events

    def _parcel(self, key: str, lane: _Lane) -> Parcel:
        first = lane.events[0]
        if self._aggregate <= len(first.line) or len(lane.events) == 1:
            return Parcel(key, [first], first.line)
        most = min(self._aggregate, MAX_RECORD - len(partition_key(key).encode()))
        events: list[Event] = []
        size = 0
        for event in lane.events:
            size += len(event.line)
            if (size > most and events) or len(events) == MOST_SHARED:
                break
            events.append(event)
        return Parcel(key, events, b"".join(event.line for event in events))
