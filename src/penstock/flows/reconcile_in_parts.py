"""A reconcile for a function, which has 15 minutes: it goes on at each call until the round is complete.

A call reads on from where the last one stopped. What it has read it sorts, and keeps below plans/reconcile/facts/, cut
into slices by the first two digits of the arrivals' ids. When all is read, the calls put one slice after the other
together from all parts, and judge it: each arrival once, with all that was read of it. What one call has time for needs
no parts.

The place where a round stands is one document, which names all that it builds on. Two calls at once do the same work
twice, and the one that ends last says how it goes on: nothing is mixed.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, groupby
from operator import itemgetter
from typing import Any
from uuid import uuid4

import orjson

from penstock.flows.judge_arrival import Kept
from penstock.flows.reconcile import Beginning, a_judge, a_report, compared, judge_all, report_key
from penstock.flows.reconcile_sources import Scope, Source, sources
from penstock.flows.sort_on_disk import Fact, sort_on_disk
from penstock.model.arrivals import PLANS
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.model.reconciliation import Reconciliation
from penstock.ports import Clock, Leases, ObjectStore, SearchIndex, Warehouse

PLACE = f"{PLANS}reconcile/round.json"
FACTS = f"{PLANS}reconcile/facts/"
"""Expires after days: the template says how many, and they are more than LONGEST."""

LONGEST = timedelta(days=3)
"""A round that is not complete by then is given up."""

_RUNS = 10_000
"""How many runs are looked back on: more than can begin in LONGEST, one a minute."""

_SLICES = [f"{number:02x}" for number in range(256)]


@dataclass(frozen=True, slots=True)
class Portion:
    """What a call does at most: until when it reads and judges, from its beginning, and how much it reads."""

    reading: timedelta = timedelta(minutes=8)
    judging: timedelta = timedelta(minutes=12)
    facts: int = 6_000_000
    """About 1 GB on disk; 7 with keys as long as S3 takes them, which the function's disk holds."""


@dataclass(slots=True)
class Round:
    beginning: Beginning
    report: Reconciliation
    sources: list[str]
    read: int = 0
    """How many of them, in their order."""
    after: str = ""
    """The place in the next one."""
    parts: dict[str, list[int]] = field(default_factory=dict)
    """The slices of each part that was read."""
    judged: int = 0
    """Slices."""
    complete: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "beginning": self.beginning.to_json(),
            "report": self.report.to_json(),
            "sources": self.sources,
            "read": self.read,
            "after": self.after,
            "parts": self.parts,
            "judged": self.judged,
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Round:
        beginning, report = Beginning.from_json(raw["beginning"]), Reconciliation.from_json(raw["report"])
        return cls(beginning, report, raw["sources"], raw["read"], raw["after"], raw["parts"], raw["judged"])

    @property
    def reads(self) -> str:
        """The source that is to be read now; empty when all are."""
        return self.sources[self.read] if self.read < len(self.sources) else ""

    def __str__(self) -> str:
        stands = f"reading {self.reads}" if self.reads else f"judging, {self.judged} of {len(_SLICES)} slices done"
        return f"the reconcile that began {self.beginning.at:%Y-%m-%d %H:%M}, now {stands}"


@dataclass(frozen=True, slots=True)
class Rounds:
    """A destination that the stack does not have is None."""

    store: ObjectStore
    leases: Leases
    warehouse: Warehouse | None
    search: SearchIndex | None
    clock: Clock
    datasets: Mapping[str, Dataset]
    kept: Kept
    portion: Portion = Portion()

    def go_on(self, call: str, *, begins: bool) -> Round | None:
        """The round that is open, or that this call `begins`; None without one. A complete one has left its report.

        Raises PermanentError when it is given up; told again to the same `call`, which Lambda makes twice.
        """
        called = self.clock.now()
        mine = compared(self.datasets, self.warehouse, self.search, Scope())
        there = list(sources(self.store, self.warehouse, self.search, self.datasets, mine, Scope()))
        names = [source.name for source in there]
        found = self._open(call)
        if found is not None and found.sources != names:
            self.store.put_json(PLACE, {})  # The datasets are others by now: it begins anew.
            found, begins = None, True
        if found is None and not begins:
            return None
        if found is None:
            beginning = Beginning.now(self.leases, None, self.clock)
            found = Round(beginning, a_report(beginning.at, mine, Scope()), names)
        if called - found.beginning.at > LONGEST:
            self._give_up(call, f"After {LONGEST.days} days it is not complete: {found}")
        if found.reads:
            self._read(found, {source.name: source for source in there}, called, mine)
        if not found.reads and not found.complete:
            self._judge(found, called, mine, call)
        return found

    def _open(self, call: str) -> Round | None:
        try:
            raw = self.store.get_json(PLACE)
        except KeyError:
            return None
        if raw.get("given_up") == call:
            raise PermanentError(raw["why"])
        return Round.from_json(raw) if "beginning" in raw else None

    def _give_up(self, call: str, why: str) -> None:
        why = f"{why}. Given up; the next one begins anew. `penstock reconcile` from a machine has no such limit"
        self.store.put_json(PLACE, {"given_up": call, "why": why})
        raise PermanentError(why)

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _read(self, found: Round, there: Mapping[str, Source], called: datetime, mine: Mapping[str, Dataset]) -> None:
        facts = sort_on_disk(self._facts(found, there, called))
        first = next(facts, None)  # As much is read by now as this call reads.
        facts = chain([first] if first else [], facts)
        if not found.reads and not found.parts:
            in_flight = found.beginning.in_flight(self.store, self.leases, _RUNS)
            judge = a_judge(self.store, self.leases, self.clock, self.kept)
            judge_all(facts, judge, in_flight, mine, Scope(), found.report)
            self._complete(found)
            return
        part = uuid4().hex
        found.parts[part] = []
        for number, some in groupby(facts, _slice_of):
            self.store.put_lines(f"{FACTS}{part}/{_SLICES[number]}.jsonl", map(orjson.dumps, some))
            found.parts[part].append(number)
        self.store.put_json(PLACE, found.to_json())

    def _facts(self, found: Round, there: Mapping[str, Source], called: datetime) -> Iterator[Fact]:
        until, count = called + self.portion.reading, 0
        while found.reads:
            source = there[found.reads]
            if source.slow and count and self.clock.now() > called + self.portion.reading / 4:
                return  # The next call has all of its time for it.
            with closing(source.read(found.after)) as facts:
                for place, fact in facts:
                    if place != found.after and count and (count >= self.portion.facts or self.clock.now() > until):
                        return
                    found.after = place
                    count += 1
                    yield fact
            found.read += 1
            found.after = ""

    # ── judging ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _judge(self, found: Round, called: datetime, mine: Mapping[str, Dataset], call: str) -> None:
        try:
            in_flight = found.beginning.in_flight(self.store, self.leases, _RUNS)
            judge = a_judge(self.store, self.leases, self.clock, self.kept)
            while found.judged < len(_SLICES) and self.clock.now() < called + self.portion.judging:
                judge_all(self._slice(found), judge, in_flight, mine, Scope(), found.report)
                found.judged += 1
        except PermanentError as error:
            self._give_up(call, str(error))
        if found.judged == len(_SLICES):
            self._complete(found)
        self.store.put_json(PLACE, {} if found.complete else found.to_json())

    def _slice(self, found: Round) -> Iterator[Fact]:
        name = f"{_SLICES[found.judged]}.jsonl"
        parts = [part for part, slices in found.parts.items() if found.judged in slices]
        return heapq.merge(*(self._lines(f"{FACTS}{part}/{name}") for part in parts), key=itemgetter(0))

    def _lines(self, key: str) -> Iterator[Fact]:
        try:
            for line in self.store.lines(key):
                about, kind, what = orjson.loads(line)
                yield about, kind, what
        except KeyError:
            raise PermanentError(f"What was read for this reconcile is gone: {key}") from None

    def _complete(self, found: Round) -> None:
        found.report.ended = self.clock.now()
        found.complete = True
        self.store.put_json(report_key(found.report.began), found.report.to_json())


def _slice_of(fact: Fact) -> int:
    return max(0, bisect_right(_SLICES, fact[0][:2]) - 1)
