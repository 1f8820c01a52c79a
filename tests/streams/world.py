"""One schedule: producers, a stream, the mapping and the function, and what the counts have to be in the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tests.fakes.clock import FakeClock
from tests.fakes.counts import FakeCounts
from tests.faults.schedules.choices import Choices
from tests.streams.kinesis import Record, Stream
from tests.streams.mapping import EventSourceMapping, FunctionFailedError, Lane, NotInvokedError, Settings
from tests.streams.troubles import KilledError, Trouble, TroubledCounts

from penstock.model.errors import TransientError
from penstock.model.stream_events import Poison
from penstock.ports.counts import Counts

Function = Callable[["World", Mapping[str, Any]], object]
Line = tuple[str, int, int]
"""Its shard, its record's sequence number, and its place in the record, from 1."""
Tallied = Counter[tuple[str, datetime]]

_KINDS, _KEYS, _MINUTE = ("UA", "AA", "DL"), 12, timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Sent:
    name: str
    kind: str
    minute: datetime
    is_good: bool


class World:
    def __init__(
        self,
        choices: Choices,
        function: Function,
        counts: Counts | None = None,
        *,
        redrives: bool | None = None,
        **fixed: Any,
    ) -> None:
        """What is given up is put into the stream again, while ids are remembered, unless `redrives` says otherwise.

        `fixed` are settings of the mapping that the template makes otherwise.
        """
        self.choices = choices
        self.clock = FakeClock()
        self.window = timedelta(days=1) if choices.draw(3) else timedelta(0)
        self.stream = Stream(1 + choices.draw(3))
        self.counts = TroubledCounts(counts or FakeCounts(), self._trouble)
        self.counts.meanwhile = self._meanwhile
        self.aside: set[Line] = set()
        self.sent: dict[Line, Sent] = {}
        self.discarded: set[tuple[str, int]] = set()
        self.story: list[str] = []
        self._first: dict[Line, Line] = {}
        """Of a line that was put into the stream again: where it was at first."""
        self._function = function
        self._settings = replace(self._choose(), **fixed)
        self._redrives = bool(self.window) if redrives is None else redrives
        self._troubled = True
        self._flying: list[Lane] = []
        self._mappings = [self._mapping()]

    def run(self) -> None:
        for _ in range(20 + self.choices.draw(40)):
            self._act()
        self.heal()
        self.check()

    def put_aside(self, shard: str, poison: Sequence[Poison]) -> None:
        self.counts.before(self._trouble())
        for one in poison:
            lines = range(one.line, one.line + one.raw.count(b"\n") + 1)
            self.aside.update((shard, int(one.sequence), line) for line in lines)

    def heal(self) -> None:
        """No trouble any more: all is delivered, then what was on its way lands, then all is delivered again."""
        self._troubled = False
        self.deliver()
        while self.counts.late:
            self.counts.land(0)
        self._mappings = [self._mapping()]
        self.deliver()
        if self._redrives:
            self._redrive()

    def check(self) -> None:
        """An event is counted once; one that the mapping discarded, at most once. Poison alone is put aside."""
        least, most = self._truth()
        counted = self._counted()
        assert least <= counted, f"lost: {least - counted}"
        assert counted <= most, f"counted twice, or never sent: {counted - most}"
        poison = {line for line, sent in self.sent.items() if not sent.is_good}
        assert self.aside <= poison, f"put aside, and good: {self.aside - poison}"
        lost = {line for line in poison - self.aside if line[:2] not in self.discarded}
        assert not lost, f"poison that nobody finds: {lost}"

    def _truth(self) -> tuple[Tallied, Tallied]:
        kept: dict[object, tuple[str, datetime]] = {}
        all_of_it: dict[object, tuple[str, datetime]] = {}
        for line, sent in self.sent.items():
            if sent.is_good:
                who = sent.name if self.window else self._first.get(line, line)
                all_of_it[who] = sent.kind, sent.minute
                if line[:2] not in self.discarded:
                    kept[who] = sent.kind, sent.minute
        return Counter(kept.values()), Counter(all_of_it.values())

    def _counted(self) -> Tallied:
        since, until = self.clock.now() - timedelta(days=1), self.clock.now() + timedelta(days=1)
        read = {kind: self.counts.read(kind, since, until) for kind in _KINDS}
        return Counter({(kind, minute): events for kind, found in read.items() for minute, events in found.items()})

    def _choose(self) -> Settings:
        draw = self.choices.draw
        endless = draw(3) > 0
        return Settings(
            batch_size=1 + draw(12),
            batch_bytes=(6 * 2**20, 400)[draw(2)],
            window=draw(2) * timedelta(seconds=5),
            retries=None if endless else draw(4),
            age=None if endless or draw(2) else timedelta(seconds=60),
            bisect=bool(draw(2)),
            report_failures=True,
        )

    def _mapping(self) -> EventSourceMapping:
        undecided = lambda: bool(self.choices.draw(2))  # noqa: E731 - one line says it
        return EventSourceMapping(self.stream, self._settings, self._invoke, self.clock.now, self._discard, undecided)

    def _discard(self, told: Mapping[str, Any], records: Sequence[Record]) -> None:
        shard = told["KinesisBatchInfo"]["shardId"]
        self.discarded.update((shard, record.sequence) for record in records)
        self.story.append(f"discarded {len(records)} of {shard}")

    def _invoke(self, event: Mapping[str, Any]) -> object:
        if self._troubled and self.choices.draw(20, harmless=0.9) == 1:
            raise NotInvokedError
        try:
            return self._function(self, event)
        except (TransientError, KilledError) as error:
            raise FunctionFailedError from error

    def _act(self) -> None:
        action = self.choices.draw(12)
        if action < 4:
            self._put()
        elif action < 9:
            self._step_one()
        elif action == 9:
            self.clock.advance(timedelta(seconds=1 + self.choices.draw(40)))
        elif action == 10:
            self._reshard()
        elif self.counts.late and self.choices.draw(2):
            self.counts.land(self.choices.draw(len(self.counts.late)))
        elif not self._flying:
            self._recreate()

    def _put(self) -> None:
        """A record of one line or several, some sent before, some late, some poison."""
        key = self.choices.draw(_KEYS)
        most = 120 if self.choices.draw(15) == 1 else 6  # More than one transaction takes, now and then.
        lines = [self._line(key) for _ in range(1 + self.choices.draw(most, harmless=0.5))]
        data = b"\n".join(_text(sent) for sent in lines)
        shard, sequence = self.stream.put(str(key), data, self.clock.now())
        self.sent |= {(shard, sequence, place): sent for place, sent in enumerate(lines, 1)}
        self.story.append(f"put {[sent.name for sent in lines]} to {shard}")

    def _line(self, key: int) -> Sent:
        again = [sent for sent in self.sent.values() if sent.is_good]
        if again and self.choices.draw(5) == 1:
            return again[self.choices.draw(len(again))]
        name = f"{key}-{len(self.sent)}-{len(self.choices.made)}"
        late = self.choices.draw(6) * _MINUTE
        at = (self.clock.now() - late).replace(second=0, microsecond=0)
        return Sent(name, _KINDS[self.choices.draw(len(_KINDS))], at, self.choices.draw(10) != 1)

    def _step_one(self) -> None:
        ready = [(mapping, lane) for mapping in self._mappings for lane in mapping.ready()]
        if ready:
            self._step(*ready[self.choices.draw(len(ready))])

    def _step(self, mapping: EventSourceMapping, lane: Lane) -> None:
        self.story.append(f"deliver {lane.shard.name}")
        self._flying.append(lane)
        mapping.step(lane)
        self._flying.pop()

    def _meanwhile(self, trouble: Trouble) -> None:
        lane = self._flying[-1]
        if trouble is Trouble.GIVEN_UP and lane.flight is not None:
            self.story.append(f"gave up on {lane.shard.name}")
            self._mappings[-1].give_up(lane)
        if len(self._flying) < 4:
            for _ in range(1 + self.choices.draw(3)):
                self._step_one()

    def _trouble(self) -> Trouble:
        trouble = Trouble(self.choices.draw(len(Trouble), harmless=0.5) if self._troubled else 0)
        if trouble:
            self.story.append(trouble.name)
        return trouble

    def _reshard(self) -> None:
        shards, pairs = self.stream.open(), self.stream.neighbours()
        if len(shards) < 4 and self.choices.draw(2):
            self.stream.split(shards[self.choices.draw(len(shards))])
        elif pairs:
            self.stream.merge(*pairs[self.choices.draw(len(pairs))])

    def _recreate(self) -> None:
        """From the oldest record on; the one before it may live on for a while."""
        self.story.append("recreate")
        self._mappings = [*self._mappings[-1:][: self.choices.draw(2)], self._mapping()]

    def _redrive(self) -> None:
        """`penstock dead-letters redrive`: under its key, as it was, until nothing is given up any more."""
        done: set[tuple[str, int]] = set()
        while left := sorted(self.discarded - done):
            for shard, sequence in left:
                (record,) = (one for one in self.stream.shards[shard].records if one.sequence == sequence)
                again = self.stream.put(record.key, record.data, self.clock.now())
                old = {line: sent for line, sent in self.sent.items() if line[:2] == (shard, sequence)}
                self.sent |= {(*again, line[2]): sent for line, sent in old.items()}
                self._first |= {(*again, line[2]): self._first.get(line, line) for line in old}
            done.update(left)
            self.deliver()

    def deliver(self) -> None:
        for _ in range(10_000):
            self.clock.advance(timedelta(seconds=1))
            if all(mapping.is_done() for mapping in self._mappings):
                return
            for mapping in self._mappings:
                for lane in mapping.ready():
                    self._step(mapping, lane)
        raise AssertionError(f"the mapping does not come to its end: {self._settings}")


def _text(sent: Sent) -> bytes:
    at = sent.minute.isoformat() if sent.is_good else "soon"
    return json.dumps({"event_id": sent.name, "type": sent.kind, "at": at}).encode()
