"""What a backfill did, as `summarise_run` tells it of a run; in memory for one plan, each part by itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from penstock.flows.plan_of import read_plan
from penstock.flows.summarise_run import (
    SHOWN,
    Outcome,
    Totals,
    closing_told,
    files_told,
    settled_of,
    subject,
    to_kick_off,
    totals_table,
)
from penstock.model.backfills import Part, part_key, sum_key
from penstock.model.datasets import Dataset
from penstock.model.outcomes import SettledArrival, Settlement
from penstock.model.plans import summary_key
from penstock.ports import ObjectStore


@dataclass(slots=True)
class BackfillSum:
    """Of a part, or of all of them. `failed` are the first few; `fresh` the datasets that ask to be kicked off."""

    datasets: dict[str, Totals] = field(default_factory=dict)
    batches: int = 0
    unsettled_batches: int = 0
    failed: list[SettledArrival] = field(default_factory=list)
    fresh: set[str] = field(default_factory=set)
    stopped: str = ""

    def total(self, name: str) -> int:
        return sum(getattr(totals, name) for totals in self.datasets.values())

    def add(self, other: BackfillSum) -> None:
        for name, totals in other.datasets.items():
            mine = self.datasets.setdefault(name, Totals())
            for what, number in asdict(totals).items():
                setattr(mine, what, getattr(mine, what) + number)
        self.batches += other.batches
        self.unsettled_batches += other.unsettled_batches
        self.failed = (self.failed + other.failed)[:SHOWN]
        self.fresh |= other.fresh
        self.stopped = self.stopped or other.stopped

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "fresh": sorted(self.fresh)}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> BackfillSum:
        return cls(
            datasets={name: Totals(**totals) for name, totals in raw["datasets"].items()},
            batches=raw["batches"],
            unsettled_batches=raw["unsettled_batches"],
            failed=[SettledArrival(**{**one, "settlement": Settlement(one["settlement"])}) for one in raw["failed"]],
            fresh=set(raw["fresh"]),
            stopped=raw["stopped"],
        )


def sum_part(store: ObjectStore, datasets: Mapping[str, Dataset], run: str, part: Part) -> BackfillSum:
    """From what the settlings of its batches wrote, or from the sum that is there already.

    A sum of batches that were not all settled may be out of date: a settling can outlive its run.
    """
    with suppress(KeyError):
        known = BackfillSum.from_json(store.get_json(sum_key(run, part.number)))
        if not known.unsettled_batches:
            return known
    done = BackfillSum(stopped=part.stopped)
    for plan_id in part.plans:
        plan = read_plan(store, plan_id)
        outcome = Outcome(plan, settled_of(store, plan))
        done.add(
            BackfillSum(
                dict(outcome.datasets),
                len(plan.batches),
                len(outcome.unsettled),
                outcome.went(Settlement.FAILED)[:SHOWN],
                set(to_kick_off(store, datasets, plan, outcome.settled)),
            )
        )
    return done


def sum_backfill(store: ObjectStore, datasets: Mapping[str, Dataset], run: str) -> tuple[BackfillSum, int]:
    """Of all its parts, and how many there are."""
    done, number = BackfillSum(), 0
    while True:
        try:
            part = Part.from_json(store.get_json(part_key(run, number)))
        except KeyError:
            return done, number
        done.add(sum_part(store, datasets, run, part))
        number += 1


def summarise_backfill(
    store: ObjectStore, datasets: Mapping[str, Dataset], run: str, run_id: str = ""
) -> dict[str, Any]:
    """As `summarise_run`; not ok when a batch was left unsettled, or when it was stopped before the prefix's end."""
    done, parts = sum_backfill(store, datasets, run)
    answer = {
        "subject": subject(done),
        "message": closing_told(run, run_id) + _message(run, done, parts),
        "ok": not done.unsettled_batches and not done.stopped,
        "kick_offs": [{"plan": run, "dataset": name} for name in sorted(done.fresh)],
    }
    store.put_json(summary_key(run), {**answer, "run": run, "parts": parts, **done.to_json()})
    return answer


def _message(run: str, done: BackfillSum, parts: int) -> str:
    paragraphs = [
        f"Backfill {run}: {done.batches:,} batches, planned in {parts:,} parts.",
        totals_table(done),
        files_told(
            "Failed, and set aside in failed/. Mend them and put them again:", done.failed, done.total("failed")
        ),
        f"Put back, to be tried again by themselves: {done.total('put_back'):,} files."
        if done.total("put_back")
        else "",
        f"STOPPED before the end of its prefix: {done.stopped}. What is left is in incoming/; mend that, and start it "
        "again, or leave it to the listing: it goes on where this one was."
        if done.stopped
        else "",
        f"NOT SETTLED: {done.unsettled_batches:,} batches, {done.total('unsettled'):,} files. They are still in "
        "incoming/, nothing of them is lost or loaded twice, and the next listing plans them again. The errors are in "
        "this execution's map runs, in the state that settles."
        if done.unsettled_batches
        else "",
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"
