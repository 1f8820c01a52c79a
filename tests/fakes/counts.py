from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from penstock.model.errors import TransientError
from penstock.model.stream_events import BEGINNING, Position
from penstock.ports.counts import MOST, MOST_TYPES, OTHER, Tallies


class FakeCounts:
    def __init__(self, most_types: int = MOST_TYPES) -> None:
        self.most_types = most_types
        self.known: set[str] = set()
        self.watermarks: dict[str, Position] = {}
        self.tallies: Counter[tuple[str, datetime, str]] = Counter()
        self.ids: dict[str, datetime] = {}

    def watermark(self, shard: str) -> Position:
        return self.watermarks.get(shard, BEGINNING)

    def add(
        self,
        shard: str,
        after: Position,
        upto: Position,
        tallies: Tallies,
        ids: Collection[str],
        remembered: datetime | None,
    ) -> frozenset[str]:
        assert len(tallies) + len(ids) <= MOST
        assert len(set(ids)) == len(ids)
        if self.watermark(shard) != after:
            raise TransientError(f"shard {shard} is counted up to {self.watermark(shard)} meanwhile")
        if known := frozenset(ids) & self.ids.keys():
            return known
        self.watermarks[shard] = upto
        if remembered:
            self.ids.update(dict.fromkeys(ids, remembered))
        for (kind, minute), more in tallies.items():
            if len(self.known) < self.most_types:
                self.known.add(kind)
            self.tallies[kind if kind in self.known else OTHER, minute, shard] += more
        return frozenset()

    def expect(self, kind: str) -> None:
        self.known.add(kind)

    def types(self) -> Sequence[str]:
        return sorted(self.known | {kind for kind, _, _ in self.tallies})

    def read(self, kind: str, since: datetime, until: datetime) -> Mapping[datetime, int]:
        found: Counter[datetime] = Counter()
        for (one, minute, _), count in self.tallies.items():
            if one == kind and since <= minute < until:
                found[minute] += count
        return dict(sorted(found.items()))
