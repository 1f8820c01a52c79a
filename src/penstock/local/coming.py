"""What comes to a stack in a month, evenly spread: files, events of a stream, messages of a queue."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from penstock.model.limits import Flush, Pace

MONTH = 30 * 24 * 3600
HOURS = MONTH / 3600


@dataclass(frozen=True)
class Files:
    """A stream of files, as many a month. `size` is bytes of one as it lies in S3."""

    a_month: int
    size: int
    destinations: int = 2
    """A table and an index are two; each reads the file."""
    most_files: int = 100
    most_bytes: int = 256 * 2**20
    """Of a batch, as its dataset says."""
    indexed_after_load: bool = False
    kick_offs: int = 0
    """What a run starts when it is done."""
    datasets: int = 1
    expected: int = 0
    """Datasets that say how often they expect files."""
    unpacks_to: float = 1
    """Times its size, when it is read."""
    parquet: bool = False
    flush: Flush | None = None
    pace: Pace | None = None

    @property
    def megabytes(self) -> float:
        """A month, unpacked."""
        return self.a_month * self.size * self.unpacks_to / 1e6

    def beside(self, number: int, size: int, unpacks_to: float) -> Files:
        """These and so many more, each as the mean of all."""
        if not number:
            return self
        files = self.a_month + number
        stored = self.a_month * self.size + number * size
        unpacked = self.a_month * self.size * self.unpacks_to + number * size * unpacks_to
        return replace(self, a_month=files, size=math.ceil(stored / files), unpacks_to=unpacked / max(stored, 1))


@dataclass(frozen=True)
class Events:
    """Of a stream or an archive, each a record. `size` is bytes of one."""

    a_month: int = 0
    size: int = 500
    types: int = 5
    """Different ones, which are counted apart, and are folders of a partitioned archive."""
    poison: float = 0
    """The share that are no events."""


@dataclass(frozen=True)
class Messages:
    a_month: int = 0
    size: int = 500


NO_EVENTS, NO_MESSAGES = Events(), Messages()
