"""Which arrivals a plan takes, and how it groups them: pure, so that its promises can be tested on anything.

Who waits longest goes first, and no dataset can crowd out another: they take turns, one arrival each.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from penstock.model.arrivals import Arrival
from penstock.model.limits import BatchLimits
from penstock.model.plans import MAX_BATCHES, Batch

ALONE_FROM = 2
"""From so many attempts on an arrival is worked in a batch of its own, so that what crashes a worker crashes alone."""


@dataclass(frozen=True, slots=True)
class Share:
    """Of one dataset: what live runs hold, the most that they may hold, and how much of the room is fairly its own."""

    held_files: int
    held_bytes: int
    most_files: int
    most_bytes: int
    fair_files: int
    fair_bytes: int

    @property
    def is_over(self) -> bool:
        return self.held_files >= self.fair_files or self.held_bytes >= self.fair_bytes

    def takes(self, arrival: Arrival) -> bool:
        """A file that is bigger than all that may be held goes alone."""
        if self.held_files >= self.most_files:
            return False
        return not self.held_files or self.held_bytes + arrival.size <= self.most_bytes

    def with_(self, arrival: Arrival) -> Share:
        return replace(self, held_files=self.held_files + 1, held_bytes=self.held_bytes + arrival.size)


@dataclass(frozen=True, slots=True)
class Room:
    """What may be taken now, over all datasets. `empty` says that nothing is leased at all."""

    files: int
    bytes: int
    empty: bool
    shares: Mapping[str, Share] = field(default_factory=dict)
    """By dataset; one without takes what it gets."""
    reserve_files: int = 0
    """The last of the room, which a dataset that holds its fair share leaves to those that don't."""
    reserve_bytes: int = 0
    most_bytes: int = 0
    """All the room there can ever be."""


@dataclass(slots=True)
class Oldest:
    """The `most` oldest of the arrivals that it was shown, in memory for that many. Of equals, the first shown."""

    most: int
    _heap: list[tuple[float, int, Arrival]] = field(default_factory=list)
    _shown: int = 0

    def add(self, arrival: Arrival) -> None:
        # A heap has its least in front; of the negated ages that is the youngest, the one to give up for an older.
        self._shown += 1
        entry = (-arrival.modified.timestamp(), -self._shown, arrival)
        if len(self._heap) < self.most:
            heapq.heappush(self._heap, entry)
        elif self.most:
            heapq.heappushpop(self._heap, entry)

    def in_order(self) -> list[Arrival]:
        """Oldest first."""
        return [entry[-1] for entry in sorted(self._heap, reverse=True)]


def choose(eligible: Mapping[str, Sequence[Arrival]], room: Room) -> dict[str, list[Arrival]]:
    """What of `eligible` (per dataset, oldest first) fits into `room`.

    The datasets take turns, the one that waits longest first. When the next arrival does not fit in bytes, the rest of
    the room is kept for it, or small files would overtake a big one for ever: only datasets that hold less than their
    fair share go on, and together never hold more than the reserve meanwhile. One that does not fit beside the reserve
    ends the choosing; one that is bigger than all the room there can ever be goes alone, when nothing else is leased.
    """
    queues = sorted(((name, deque(arrivals)) for name, arrivals in eligible.items() if arrivals), key=_age_of_first)
    chosen: dict[str, list[Arrival]] = {}
    shares = dict(room.shares)
    files, size, empty, kept = room.files, room.bytes, room.empty, False
    while queues and files > 0:
        for name, queue in queues:
            if files <= 0:
                break
            arrival, share = queue[0], shares.get(name)
            over = share is not None and share.is_over
            spare = room.reserve_bytes - _held_below_share(shares) if kept else size
            if (
                (share and not share.takes(arrival))
                or (over and files <= room.reserve_files)
                or (kept and (over or arrival.size > spare))
            ):
                queue.clear()
                continue
            if not empty and arrival.size > size - (room.reserve_bytes if over else 0):
                if not over or not room.reserve_bytes or arrival.size > room.most_bytes - room.reserve_bytes:
                    return chosen
                kept = True
                queue.clear()
                continue
            queue.popleft()
            chosen.setdefault(name, []).append(arrival)
            files, size, empty = files - 1, size - arrival.size, False
            if share:
                shares[name] = share.with_(arrival)
        queues = [entry for entry in queues if entry[1]]
    return chosen


def _held_below_share(shares: Mapping[str, Share]) -> int:
    return sum(share.held_bytes for share in shares.values() if not share.is_over)


def group(
    chosen: Mapping[str, Sequence[Arrival]],
    limits: Mapping[str, BatchLimits],
    attempts: Mapping[str, int],
    most: int = MAX_BATCHES,
    reserved: int = 0,
    idle: Container[str] = (),
) -> tuple[Batch, ...]:
    """At most `most` batches of what was chosen (per dataset, oldest first), numbered; what is over is left for later.

    `limits` are the datasets'; `attempts` those of arrivals that were put back, by id. The last `reserved` of the
    batches are for `idle` datasets, which no live run works: one batch for each, so that none takes all of them.
    """
    waiting = [
        deque((name, part) for part in _parts(arrivals, limits.get(name, BatchLimits()), attempts))
        for name, arrivals in chosen.items()
    ]
    batches: list[Batch] = []
    worked: set[str] = set()
    while any(waiting):
        before = len(batches)
        for queue in waiting:
            first = queue and queue[0][0] in idle and queue[0][0] not in worked
            if queue and len(batches) < (most if first else most - reserved):
                name, part = queue.popleft()
                batches.append(Batch(len(batches), name, tuple(part)))
                worked.add(name)
        if len(batches) == before:
            break
    return tuple(batches)


def _parts(arrivals: Sequence[Arrival], limits: BatchLimits, attempts: Mapping[str, int]) -> Iterable[list[Arrival]]:
    """Those that failed before, each alone, between the others: neither kind waits for all of the other."""
    alone = deque([arrival] for arrival in arrivals if attempts.get(arrival.id, 0) >= ALONE_FROM)
    together = deque(_even([arrival for arrival in arrivals if attempts.get(arrival.id, 0) < ALONE_FROM], limits))
    while together or alone:
        for queue in (together, alone):
            if queue:
                yield queue.popleft()


def _even(arrivals: Sequence[Arrival], limits: BatchLimits) -> list[list[Arrival]]:
    """As few batches as the limits allow, and of one size where that costs no more: the longest one sets the pace."""
    fewest = _packed(arrivals, limits.max_files, limits.max_bytes)
    if len(fewest) < 2:
        return fewest
    share = -(-len(arrivals) // len(fewest))
    even = _packed(arrivals, share, limits.max_bytes)
    return even if len(even) == len(fewest) else fewest


def _packed(arrivals: Iterable[Arrival], files: int, size: int) -> list[list[Arrival]]:
    """In order, each batch filled before the next begins; an arrival that is bigger than `size` is alone in its own."""
    batches: list[list[Arrival]] = []
    room = 0
    for arrival in arrivals:
        if not batches or len(batches[-1]) >= files or arrival.size > room:
            batches.append([])
            room = size
        batches[-1].append(arrival)
        room -= arrival.size
    return batches


def _age_of_first(entry: tuple[str, deque[Arrival]]) -> tuple[float, str]:
    return entry[1][0].modified.timestamp(), entry[0]
