"""Which runs were at work while a reconcile read: what they had in hand is not judged, the next one sees it at rest."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock.flows.judge_arrival import Seen
from penstock.model.arrivals import INCOMING, Arrival
from penstock.model.datasets import Dataset, OnOverwrite
from penstock.model.errors import PermanentError
from penstock.model.plans import Plan, plan_key
from penstock.ports import Clock, Leases, ObjectStore, RunRecord, Runs, RunStatus

_RUNS = 1_000
"""How many runs are looked back on; more than can begin while this reads."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Which runs there were before anything was read: what these and later ones are at work on is not judged."""

    at: datetime
    known: frozenset[str]
    live: Mapping[str, str]
    """The prefix that it claims, or nothing, of each run that was live, by its id."""

    @classmethod
    def now(cls, leases: Leases, runs: Runs | None, clock: Clock) -> Beginning:
        """Without `runs` a run goes on until a listing has seen it end."""
        at = clock.now()
        known = frozenset(run.id for run in leases.runs(_RUNS))
        live = {
            run.id: _claimed(run)
            for run in leases.live_runs()
            if at < run.expires
            and (runs is None or runs.status(run.execution) in (RunStatus.RUNNING, RunStatus.MISSING))
        }
        return cls(at, known, live)

    def to_json(self) -> dict[str, Any]:
        return {"at": self.at.isoformat(), "known": sorted(self.known), "live": dict(self.live)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Beginning:
        return cls(datetime.fromisoformat(raw["at"]), frozenset(raw["known"]), raw["live"])

    def in_flight(self, store: ObjectStore, leases: Leases, look_back: int = _RUNS) -> InFlight:
        """Asked when everything is read."""
        runs = leases.runs(look_back)
        if len(runs) == look_back and self.known.isdisjoint(run.id for run in runs):
            raise PermanentError(
                f"{look_back:,} runs have begun since {self.at:%Y-%m-%d %H:%M}, when this reconcile began: what all of "
                "them were at work on can't be left out any more. `penstock reconcile` by hand looks at a moment"
            )
        oldest = min(self.known, default="")
        since = {run.id: _claimed(run) for run in runs if run.id not in self.known and run.id > oldest}
        claims = {**self.live, **since}
        arrivals, keys = set[str](), set[str]()
        for run in claims:  # One plan at a time: hours of them are a million arrivals.
            for arrival in _planned(store, run):
                arrivals.add(arrival.id)
                keys.add(arrival.key)
        return InFlight(self.at, arrivals, keys, tuple(filter(None, claims.values())))


@dataclass(frozen=True, slots=True)
class InFlight:
    """What runs were at work on at any time since `began`: ids and keys of arrivals, and claims of backfills."""

    began: datetime
    arrivals: AbstractSet[str]
    keys: AbstractSet[str]
    claimed: tuple[str, ...]

    def has(self, seen: Seen, dataset: Dataset | None) -> bool:
        if seen.arrival in self.arrivals:
            return True
        if any(place.root == INCOMING and place.key.startswith(self.claimed) for place in seen.places):
            return True
        entry = seen.ledger
        if entry is None or entry.replaced_by:
            return False
        claimed = entry.key.startswith(self.claimed)
        replaces = dataset is not None and dataset.on_overwrite is OnOverwrite.REPLACE
        if replaces and (claimed or entry.key in self.keys):
            return True  # A newer version takes its rows, maybe after the ledger was read and before they were.
        return claimed and entry.decided >= self.began  # It may have come after incoming/ was listed.


def _claimed(run: RunRecord) -> str:
    return run.claim.prefix if run.claim else ""


def _planned(store: ObjectStore, run: str) -> tuple[Arrival, ...]:
    """Nothing of a run whose plan is gone, or that has none, as a backfill."""
    with suppress(KeyError):
        return tuple(Plan.from_json(store.get_json(plan_key(run))).arrivals)
    return ()
