"""Plans a backfill's next part: pages on through its prefix, in memory for a plan and whatever the prefix holds.

A part is written down last, when its plans and the list of their batches are: dying before that, it is planned again;
from then on every call for it answers the same. There is no other cursor than the last part's last key. A backfill that
is started anew begins at the prefix's first key and finds there only what is not settled: it goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from penstock.flows.gate import Gate
from penstock.flows.look_after_runs import arrivals_of
from penstock.flows.planning import ALONE_FROM
from penstock.flows.summarise_backfill import sum_part
from penstock.model.arrivals import UNCLAIMED, Arrival
from penstock.model.backfills import (
    PART_BATCHES,
    PART_LOOKED_AT,
    PLAN_BATCHES,
    TOLERATED,
    Claim,
    Part,
    items_key,
    part_key,
    plan_of_part,
    sum_key,
)
from penstock.model.dataset_files import dataset_of
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.model.huge import is_huge
from penstock.model.limits import BatchLimits
from penstock.model.memos import DatasetMemo
from penstock.model.plans import Batch, Plan, plan_key
from penstock.ports import Attempt, Clock, Leases, ObjectStore


@dataclass(frozen=True, slots=True)
class PartLimits:
    """How much one part holds at most; a test's are smaller."""

    batches: int = PART_BATCHES
    looked_at: int = PART_LOOKED_AT


def plan_backfill(
    store: ObjectStore,
    leases: Leases,
    clock: Clock,
    datasets: Mapping[str, Dataset],
    run: str,
    number: int,
    limits: PartLimits = PartLimits(),
) -> dict[str, Any]:
    """`{"plan": run, "part": the next one, "items": key, "batches", "more"}`; the part before is summed up first."""
    part = _known(store, run, number)
    if part is None:
        part = _plan(store, leases, clock, datasets, run, number, limits)
        store.put_json(part_key(run, number), part.to_json())
    return {
        "plan": run,
        "part": number + 1,
        "items": items_key(run, number),
        "batches": part.batches,
        "more": part.more,
    }


def _known(store: ObjectStore, run: str, number: int) -> Part | None:
    try:
        return Part.from_json(store.get_json(part_key(run, number)))
    except KeyError:
        return None


def _plan(
    store: ObjectStore,
    leases: Leases,
    clock: Clock,
    datasets: Mapping[str, Dataset],
    run: str,
    number: int,
    limits: PartLimits,
) -> Part:
    live = leases.live_runs()
    claim = next((one.claim for one in live if one.id == run), None)
    if claim is None:
        raise PermanentError(
            f"backfill {run} holds no claim any more: it went on for longer than its lease. Start it again with "
            "penstock backfill; it goes on where it was."
        )
    before = _known(store, run, number - 1) if number else Part(-1, "", "", more=True)
    if before is None:
        raise PermanentError(f"there is no part {number - 1} of backfill {run}: was plans/ cleared? Start it again.")
    nothing = Part(number, before.through, before.through, more=False)
    if number:
        done = sum_part(store, datasets, run, before)
        store.put_json(sum_key(run, before.number), done.to_json())
        if done.unsettled_batches * 100 > TOLERATED * before.batches:
            return replace(nothing, stopped=f"{done.unsettled_batches} of {before.batches} batches were not settled")
    if not before.more:
        return nothing
    gate = Gate(leases.breakers(), datasets, {one.id for one in live}, clock.now())
    if down := sorted({one for name in datasets for one in gate.shut(name)}):
        return replace(nothing, stopped=f"down: {', '.join(down)}")
    rates = {name: DatasetMemo.of(memo.text).rate for name, memo in leases.memos().items()}
    choice = Choice(claim, arrivals_of(store, live).keys(), leases.waiting(), clock.now(), datasets, rates)
    return _page_on(store, clock, run, nothing, claim, choice, limits)


@dataclass(slots=True)
class Choice:
    """Which arrivals a backfill takes: those that it claims, no other run holds, and nothing keeps waiting."""

    claim: Claim
    leased: AbstractSet[str]
    """Ids and keys that other live runs hold."""
    waiting: Mapping[str, Attempt]
    now: datetime
    datasets: Mapping[str, Dataset]
    rates: Mapping[str, int] = field(default_factory=dict)
    """What earlier loads have shown, by dataset."""
    packing: Packing = field(init=False)

    def __post_init__(self) -> None:
        self.packing = Packing({name: dataset.batch for name, dataset in self.datasets.items()})

    def batches(self, arrival: Arrival) -> Iterator[tuple[str, tuple[Arrival, ...]]]:
        """The batches that are full now that `arrival`, the first version of its key, has been seen."""
        attempt = self.waiting.get(arrival.id)
        due = attempt is None or attempt.not_before <= self.now
        if not (due and self.claim.holds(arrival) and {arrival.id, arrival.key}.isdisjoint(self.leased)):
            return
        dataset = dataset_of(self.datasets, arrival.key)
        alone = attempt is not None and attempt.attempts >= ALONE_FROM
        alone = alone or (dataset is not None and is_huge(dataset, arrival, self.rates.get(dataset.name, 0)))
        yield from self.packing.add(dataset.name if dataset else UNCLAIMED, arrival, alone=alone)


@dataclass(slots=True)
class Packing:
    """Arrivals, in the listing's order, become batches: in memory for one open batch of each dataset."""

    limits: Mapping[str, BatchLimits]
    _open: dict[str, list[Arrival]] = field(default_factory=dict)
    _size: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, arrival: Arrival, *, alone: bool = False) -> Iterator[tuple[str, tuple[Arrival, ...]]]:
        if alone:
            yield name, (arrival,)
            return
        limits = self.limits.get(name, BatchLimits())
        batch = self._open.setdefault(name, [])
        if batch and self._size[name] + arrival.size > limits.max_bytes:
            yield self._close(name)
            batch = self._open.setdefault(name, [])
        batch.append(arrival)
        self._size[name] = self._size.get(name, 0) + arrival.size
        if len(batch) >= limits.max_files:
            yield self._close(name)

    def rest(self) -> Iterator[tuple[str, tuple[Arrival, ...]]]:
        for name in sorted(self._open):
            yield self._close(name)

    def _close(self, name: str) -> tuple[str, tuple[Arrival, ...]]:
        self._size[name] = 0
        return name, tuple(self._open.pop(name))


@dataclass(slots=True)
class _Writing:
    """A part as it grows: a plan is written as soon as it is full, and only its number is kept."""

    store: ObjectStore
    clock: Clock
    run: str
    part: int
    rates: Mapping[str, int]
    plans: list[str] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    _batches: list[Batch] = field(default_factory=list)

    def add(self, batch: tuple[str, tuple[Arrival, ...]]) -> None:
        self._batches.append(Batch(len(self._batches), *batch, rate=self.rates.get(batch[0], 0)))
        if len(self._batches) == PLAN_BATCHES:
            self.write()

    @property
    def count(self) -> int:
        return len(self.items) + len(self._batches)

    def write(self) -> None:
        if not self._batches:
            return
        plan = Plan(plan_of_part(self.run, self.part, len(self.plans)), self.clock.now(), tuple(self._batches))
        self.store.put_json(plan_key(plan.id), plan.to_json())
        self.plans.append(plan.id)
        self.items += [{"plan": plan.id, "batch": batch.number} for batch in plan.batches]
        self.files += len(plan.arrivals)
        self.bytes += sum(batch.size for batch in plan.batches)
        self._batches = []


def _page_on(
    store: ObjectStore, clock: Clock, run: str, part: Part, claim: Claim, choice: Choice, limits: PartLimits
) -> Part:
    writing = _Writing(store, clock, run, part.number, choice.rates)
    through, more = part.after, False
    for looked_at, arrival in enumerate(store.arrivals(claim.prefix, part.after)):
        # Versions of one key are worked in order, one at a time: those behind the first are left for later.
        if arrival.key == through:
            continue
        if writing.count >= limits.batches or looked_at >= limits.looked_at:
            more = True
            break
        through = arrival.key
        for batch in choice.batches(arrival):
            writing.add(batch)
    for batch in choice.packing.rest():
        writing.add(batch)
    writing.write()
    store.put_json(items_key(run, part.number), writing.items)
    return replace(
        part,
        through=through,
        more=more,
        plans=tuple(writing.plans),
        batches=len(writing.items),
        files=writing.files,
        bytes=writing.bytes,
    )
