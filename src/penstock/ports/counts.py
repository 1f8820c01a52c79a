"""The speed layer: how many events of a type came in a minute, counted exactly once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from penstock.model.stream_events import Position

Tallies = Mapping[tuple[str, datetime], int]
"""By type and minute, how many more."""

MOST = 99
"""Tallies and ids that one `add` takes together: a transaction is a hundred actions, and one is the watermark's."""

MOST_TYPES = 1_000
OTHER = "(other types)"
"""A producer that takes a number for its type makes a new one with each event. So many, about, have counts of their
own; the events of further ones are counted together, as this."""


class Counts(Protocol):
    """Each shard counts for itself, so that shards never wait for each other; who reads adds them up."""

    def watermark(self, shard: str) -> Position:
        """Up to where the shard is counted, `BEGINNING` when nothing of it is. Read consistently."""
        ...

    def add(
        self,
        shard: str,
        after: Position,
        upto: Position,
        tallies: Tallies,
        ids: Collection[str],
        remembered: datetime | None,
    ) -> frozenset[str]:
        """Counts, remembers the ids until then, and moves the watermark from `after` to `upto`: all of it or nothing.

        Empty when it is done. Else nothing was written, and these ids were counted before. Raises TransientError when
        the watermark is not at `after` any more: another worker has counted meanwhile.
        """
        ...

    def expect(self, kind: str) -> None:
        """Somebody watches the type: it has counts of its own, however many others there are by then."""
        ...

    def types(self) -> Sequence[str]:
        """Of which there are counts, or which are expected, in their order."""
        ...

    def read(self, kind: str, since: datetime, until: datetime) -> Mapping[datetime, int]:
        """By minute, from `since` up to but without `until`, the sum over all shards."""
        ...
