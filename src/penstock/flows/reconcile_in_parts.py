"""A reconcile for a function, which has 15 minutes: it goes on at each call until the round is complete.

A call reads on from where the last one stopped. What it has read it sorts, and keeps below plans/reconcile/facts/, cut
into slices by the first two digits of the arrivals' ids. When all is read, the calls put one slice after the other
together from all parts, and judge it: each arrival once, with all that was read of it. What one call has time for needs
no parts. Then what seems to disagree is looked at again, in the same way (`second_look`).

The place where a round stands is one document, which names all that it builds on. Two calls at once do the same work
twice, and the one that ends last says how it goes on: nothing is mixed.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, groupby
from operator import itemgetter
from typing import Any
from uuid import uuid4

import orjson

from penstock.flows.in_flight import Beginning
from penstock.flows.judge_arrival import Kept
from penstock.flows.reconcile import a_judge, a_report, compared, judge_all, report_key
from penstock.flows.reconcile_round import FORMAT, SLICES, Look, Round
from penstock.flows.reconcile_sources import Scope, Source, destinations, sources
from penstock.flows.sort_on_disk import Fact, sort_on_disk
from penstock.model.arrivals import PLANS
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.ports import Clock, Leases, ObjectStore, SearchIndex, Warehouse

PLACE = f"{PLANS}reconcile/round.json"
FACTS = f"{PLANS}reconcile/facts/"
"""Expires after days: the template says how many, and they are more than LONGEST."""

LONGEST = timedelta(days=3)
"""A round that is not complete by then is given up."""

_RUNS = 10_000
"""How many runs are looked back on: more than can begin in LONGEST, one a minute."""


@dataclass(frozen=True, slots=True)
class Portion:
    """What a call does at most: until when it reads and judges, from its beginning, and how much it reads."""

    reading: timedelta = timedelta(minutes=8)
    judging: timedelta = timedelta(minutes=12)
    facts: int = 6_000_000
    """About 1 GB on disk; 7 with keys as long as S3 takes them, which the function's disk holds."""


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
        kept = self._kept(call)
        if kept and (kept.get("format"), kept["sources"]) != (FORMAT, names):
            self.store.put_json(PLACE, {})  # The datasets are others by now, or the release: it begins anew.
            kept, begins = {}, True
        if not kept and not begins:
            return None
        if kept:
            found = Round.from_json(kept)
        else:
            beginning = Beginning.now(self.leases, None, self.clock)
            found = Round(beginning, names, [Look(a_report(beginning.at, mine, Scope()), names)])
        if called - found.beginning.at > LONGEST:
            self._give_up(call, f"After {LONGEST.days} days it is not complete: {found}")
        by_name = {source.name: source for source in there}
        self._look(found, by_name, called, mine, call)
        if found.now.over and len(found.looks) == 1 and found.now.doubts.of:
            doubted = destinations(self.warehouse, self.search, found.now.doubts.among(mine), Scope())
            again = [source.name for source in doubted]
            found.looks.append(Look(a_report(found.beginning.at, mine, Scope()), again))
            if self.clock.now() < called + self.portion.reading / 4:
                self._look(found, by_name, called, mine, call)
            else:
                self._keep(found)
        if found.now.over:
            self._complete(found)
        return found

    def _look(
        self, found: Round, there: Mapping[str, Source], called: datetime, mine: Mapping[str, Dataset], call: str
    ) -> None:
        if found.now.reads:
            self._read(found, there, called, mine)
        if not found.now.over and not found.now.reads:
            self._judge(found, called, mine, call)

    def _kept(self, call: str) -> dict[str, Any]:
        """The place of the round that is open; empty without one."""
        try:
            kept: dict[str, Any] = self.store.get_json(PLACE)
        except KeyError:
            return {}
        if kept.get("given_up") == call:
            raise PermanentError(kept["why"])
        return kept if "beginning" in kept else {}

    def _keep(self, found: Round) -> None:
        self.store.put_json(PLACE, found.to_json())
        found.open = True

    def _give_up(self, call: str, why: str) -> None:
        why = f"{why}. Given up; the next one begins anew. `penstock reconcile` from a machine has no such limit"
        self.store.put_json(PLACE, {"given_up": call, "why": why})
        raise PermanentError(why)

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _read(self, found: Round, there: Mapping[str, Source], called: datetime, mine: Mapping[str, Dataset]) -> None:
        now = found.now
        facts = sort_on_disk(self._facts(found, there, called))
        first = next(facts, None)  # As much is read by now as this call reads.
        facts = chain([first] if first else [], facts)
        if not now.reads and not now.parts:
            in_flight = found.beginning.in_flight(self.store, self.leases, _RUNS)
            judge = a_judge(self.store, self.leases, self.clock, self.kept)
            judge_all(facts, judge, in_flight, mine, Scope(), now.report, now.doubts)
            now.judged = len(SLICES)
            return
        part = uuid4().hex
        now.parts[part] = []
        for number, some in groupby(facts, _slice_of):
            self.store.put_lines(f"{FACTS}{part}/{SLICES[number]}.jsonl", map(orjson.dumps, some))
            now.parts[part].append(number)
        self._keep(found)

    def _facts(self, found: Round, there: Mapping[str, Source], called: datetime) -> Iterator[Fact]:
        now, until, read, count = found.now, called + self.portion.reading, False, 0
        doubts = found.looks[0].doubts if len(found.looks) > 1 else None
        if doubts and not (now.read or now.after):
            yield from doubts.in_s3()
        while now.reads:
            source = there[now.reads]
            if source.slow and read and self.clock.now() > called + self.portion.reading / 4:
                return  # The next call has all of its time for it.
            with closing(source.read(now.after)) as facts:
                for place, fact in facts:
                    if place != now.after and read and (count >= self.portion.facts or self.clock.now() > until):
                        return
                    now.after, read = place, True
                    if doubts is None or doubts.has(fact):
                        count += 1
                        yield fact
            now.read += 1
            now.after = ""

    # ── judging ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _judge(self, found: Round, called: datetime, mine: Mapping[str, Dataset], call: str) -> None:
        now = found.now
        try:
            in_flight = found.beginning.in_flight(self.store, self.leases, _RUNS)
            judge = a_judge(self.store, self.leases, self.clock, self.kept)
            while now.judged < len(SLICES) and self.clock.now() < called + self.portion.judging:
                judge_all(self._slice(now), judge, in_flight, mine, Scope(), now.report, now.doubts)
                now.judged += 1
        except PermanentError as error:
            self._give_up(call, str(error))
        self._keep(found)

    def _slice(self, look: Look) -> Iterator[Fact]:
        name = f"{SLICES[look.judged]}.jsonl"
        parts = [part for part, slices in look.parts.items() if look.judged in slices]
        return heapq.merge(*(self._lines(f"{FACTS}{part}/{name}") for part in parts), key=itemgetter(0))

    def _lines(self, key: str) -> Iterator[Fact]:
        try:
            for line in self.store.lines(key):
                about, kind, what = orjson.loads(line)
                yield about, kind, what
        except KeyError:
            raise PermanentError(f"What was read for this reconcile is gone: {key}") from None

    def _complete(self, found: Round) -> None:
        report = found.report
        if len(found.looks) > 1:
            found.looks[0].doubts.settle(report, found.now.report)
        report.ended = self.clock.now()
        self.store.put_json(report_key(report.began), report.to_json())
        if found.open:
            self.store.put_json(PLACE, {})
        found.complete = True


def _slice_of(fact: Fact) -> int:
    return max(0, bisect_right(SLICES, fact[0][:2]) - 1)
