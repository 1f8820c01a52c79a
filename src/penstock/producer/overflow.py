"""What the stream does not take goes to disk, and what is put behind it too; what a full disk does not take waits."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from penstock.producer.events import Event, held_bytes
from penstock.producer.spill import Spill

_PARKED = 1_000
"""Events that are written to disk at once, behind others of their keys."""
_AGAIN = 5.0
"""Seconds after which a disk is tried again that did not take something."""

logger = logging.getLogger(__name__)


class Overflow:
    """Not safe for threads: its owner holds a lock. Nothing here raises OSError.

    `room` is the most bytes of the buffer: a quarter of it may be parked, in memory, to be written with others.
    """

    def __init__(self, stream: str, spill: Spill, room: int) -> None:
        self._stream = stream
        self._spill = spill
        self._most_parked = room // 4
        self._parked: list[Event] = []
        self._parked_keys: set[str] = set()
        self.parked_size = 0
        self._try_again = 0.0

    def __len__(self) -> int:
        """Events on disk, and those that are to join them."""
        return len(self._spill) + len(self._parked)

    @property
    def on_disk(self) -> int:
        return len(self._spill)

    @property
    def is_full(self) -> bool:
        """The disk did not take something, a moment ago."""
        return time.monotonic() < self._try_again

    @property
    def is_written(self) -> bool:
        """Nothing is parked."""
        return not self._parked

    def holds(self, key: str) -> bool:
        """Whether events of the key wait here: a later one has to wait behind them."""
        return key in self._parked_keys or self._spill.holds(key)

    def park(self, event: Event) -> Sequence[Event]:
        """Behind those of its key that wait on disk. The events that are on disk by it."""
        self._parked.append(event)
        self._parked_keys.add(event.key)
        self.parked_size += held_bytes(event)
        enough = len(self._parked) >= _PARKED or self.parked_size > self._most_parked
        return self.write_parked() if enough else ()

    def write_parked(self) -> Sequence[Event]:
        """The events that are on disk by it: none, and they stay behind what is there, when it does not take them."""
        if not self._parked or self.is_full:
            return ()
        return self.unpark() if self._is_taken(lambda: self._spill.append(self._parked), len(self._parked)) else ()

    def unpark(self) -> Sequence[Event]:
        """They are their owner's."""
        parked, self._parked, self._parked_keys, self.parked_size = self._parked, [], set(), 0
        return parked

    def write(self, events: Sequence[Event], reason: str) -> bool:
        """False, with nothing changed, when the disk does not take them. What came from here is before what waits."""
        taken = [event for event in events if self._spill.came_from_here(event)]
        write = self._spill.put_back if taken else self._spill.append
        if not self._is_taken(lambda: write(events), len(events)):
            return False
        logger.warning("%d events for stream %s go to disk: %s", len(events), self._stream, reason)
        self._spill.gone(taken)
        return True

    def take(self) -> tuple[Sequence[Event], Sequence[Event]]:
        """The oldest that are on disk, and behind the last of these what is parked."""
        try:
            events = self._spill.take() if len(self._spill) else []
        except OSError:
            logger.exception("what waits on disk for stream %s can't be read", self._stream)
            return (), ()
        return events, () if len(self._spill) else self.unpark()

    def gone(self, events: Sequence[Event]) -> None:
        """They are in the stream."""
        self._spill.gone(events)

    def close(self) -> Sequence[Event]:
        """Those that the disk has not taken."""
        self._spill.close()
        return self.unpark()

    def _is_taken(self, write: Callable[[], None], number: int) -> bool:
        try:
            write()
        except OSError as error:
            text = "%d events for stream %s do not fit the disk, and wait in memory: %s"
            logger.error(text, number, self._stream, error)
            self._try_again = time.monotonic() + _AGAIN
            return False
        return True
