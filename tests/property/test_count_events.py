"""Counts equal the truth whatever is delivered twice, killed, overtaken or sent again under the same id."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.counts import FakeCounts

from penstock.flows.count_events import count_events
from penstock.model.errors import TransientError
from penstock.model.stream_events import EventFields, Poison, Position, StreamRecord
from penstock.ports.counts import Tallies

NOW = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
EXAMPLES = int(os.environ.get("PENSTOCK_STREAM_SCHEDULES", "80"))


class KilledError(Exception):
    """The worker died."""


class Unsafe(FakeCounts):
    """Before each write something may happen, as the schedule has it."""

    def __init__(self, troubles: list[int]) -> None:
        super().__init__()
        self.troubles = troubles
        self.meanwhile: Callable[[], None] = lambda: None

    def add(
        self,
        shard: str,
        after: Position,
        upto: Position,
        tallies: Tallies,
        ids: Collection[str],
        remembered: datetime | None,
    ) -> frozenset[str]:
        trouble = self.troubles.pop() if self.troubles else 0
        if trouble == 1:
            raise KilledError
        if trouble == 2:
            self.meanwhile()  # Another worker has the same records, and is faster.
        known = super().add(shard, after, upto, tallies, ids, remembered)
        if trouble == 3:
            raise KilledError
        if trouble == 4:
            raise TransientError("the reply was lost")
        return known


EVENTS = st.tuples(st.integers(0, 400), st.sampled_from(["UA", "AA", "DL"]), st.integers(0, 40), st.booleans())


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    records=st.lists(st.lists(EVENTS, max_size=60), max_size=6),
    troubles=st.lists(st.integers(0, 6), max_size=30),
    starts=st.lists(st.integers(0, 12), max_size=12),
    remembering=st.booleans(),
)
def test_every_event_is_counted_once(
    records: list[list[tuple[int, str, int, bool]]], troubles: list[int], starts: list[int], remembering: bool
) -> None:
    counts = Unsafe(troubles)
    truth: Counter[tuple[str, datetime]] = Counter()
    poison = set()
    seen: set[int] = set()
    shard: list[StreamRecord] = []
    for number, lines in enumerate(records):
        body = b""
        for place, (name, kind, minute, good) in enumerate(lines, 1):
            at = NOW + timedelta(minutes=minute)
            event = {"event_id": str(name), "type": kind, "at": at.isoformat() if good else "soon"}
            body += json.dumps(event).encode() + b"\n"
            if not good:
                poison.add((number + 1, place))
            elif name not in seen or not remembering:
                truth[kind, at] += 1
                seen.add(name)
        shard.append(StreamRecord(str(number + 1), body))
    aside: set[tuple[int, int]] = set()

    def put_aside(found: Sequence[Poison]) -> None:
        aside.update((int(one.sequence), one.line) for one in found)

    def count(batch: Sequence[StreamRecord]) -> None:
        window = timedelta(minutes=10) if remembering else timedelta(0)
        count_events(counts, put_aside, "shard-1", batch, EventFields(), NOW, window)

    def deliver(batch: Sequence[StreamRecord]) -> bool:
        counts.meanwhile = lambda: count(batch)
        try:
            count(batch)
        except (KilledError, TransientError):
            return False
        return True

    done = 0
    for start in starts:  # A mapping delivers from its checkpoint, or from before it after a failure.
        if deliver(shard[min(start, done) : done + 5]):
            done = max(done, min(len(shard), done + 5))
    while not deliver(shard[min(done, len(shard)) :]):
        pass

    counted: Counter[tuple[str, datetime]] = Counter()
    for (kind, when, _), events in counts.tallies.items():
        counted[kind, when] += events
    assert +counted == +truth
    assert aside == poison
