"""What befalls a worker at a write: the counts that a schedule's troubles happen to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from enum import IntEnum

from penstock.model.errors import TransientError
from penstock.model.stream_events import Position
from penstock.ports.counts import Counts, Tallies


class KilledError(BaseException):
    """The worker's process is gone: no handler of errors runs."""


class Trouble(IntEnum):
    NONE = 0
    THROTTLED = 1
    KILLED_BEFORE = 2
    KILLED_AFTER = 3
    REPLY_LOST = 4
    OTHERS_FIRST = 5
    """Workers of other shards go on meanwhile."""
    GIVEN_UP = 6
    """The invocation times out, is retried, and then this one goes on all the same."""
    LANDS_LATE = 7
    """The worker is killed while its write is on the way."""


class TroubledCounts:
    def __init__(self, counts: Counts, draw: Callable[[], Trouble]) -> None:
        self._counts = counts
        self._draw = draw
        self.late: list[Callable[[], object]] = []
        self.meanwhile: Callable[[Trouble], None] = lambda _trouble: None

    def watermark(self, shard: str) -> Position:
        found = self._counts.watermark(shard)
        self.before(self._draw())
        return found

    def add(
        self,
        shard: str,
        after: Position,
        upto: Position,
        tallies: Tallies,
        ids: Collection[str],
        remembered: datetime | None,
    ) -> frozenset[str]:
        def write() -> frozenset[str]:
            return self._counts.add(shard, after, upto, tallies, ids, remembered)

        trouble = self._draw()
        if trouble is Trouble.LANDS_LATE:
            self.late.append(write)
        self.before(trouble)
        known = write()
        if trouble is Trouble.KILLED_AFTER:
            raise KilledError
        if trouble is Trouble.REPLY_LOST:
            raise TransientError("the reply was lost")
        return known

    def read(self, kind: str, since: datetime, until: datetime) -> Mapping[datetime, int]:
        return self._counts.read(kind, since, until)

    def land(self, number: int) -> None:
        """A write that was on its way arrives, whoever sent it. What it is told nobody hears."""
        write = self.late.pop(number)
        with suppress(TransientError):
            write()

    def before(self, trouble: Trouble) -> None:
        """What happens before a call is made, of whatever."""
        if trouble in (Trouble.LANDS_LATE, Trouble.KILLED_BEFORE):
            raise KilledError
        if trouble is Trouble.THROTTLED:
            raise TransientError("DynamoDB throttles")
        if trouble in (Trouble.OTHERS_FIRST, Trouble.GIVEN_UP):
            self.meanwhile(trouble)
