"""S3 = ledger = rows = documents? Reads all four, and names every arrival of which they do not say the same.

Nothing is asked file by file. Listings, ledger, rows and documents are each read once, a page at a time, and what they
say is sorted by arrival on disk: memory holds one arrival's facts, and those that disagree.

The stack goes on working meanwhile, so what a run was at work on at any time since the beginning is left out: the next
reconcile sees it at rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

import orjson

from penstock.flows.judge_arrival import Judge, Kept, Place, Seen
from penstock.flows.reconcile_sources import ENTRY, STRANGER, Scope, index_of, once, roots, sources, table_of
from penstock.flows.set_aside import REJECTS
from penstock.flows.sort_on_disk import Fact, sort_on_disk
from penstock.model.arrivals import FAILED, INCOMING, PLANS, Arrival
from penstock.model.datasets import Dataset, OnOverwrite
from penstock.model.errors import PermanentError
from penstock.model.outcomes import LedgerEntry, Verdict
from penstock.model.plans import Plan, plan_key
from penstock.model.reconciliation import Checked, Disagreement, Kind, Reconciliation
from penstock.ports import Clock, Leases, ObjectStore, RunRecord, Runs, RunStatus, SearchIndex, Warehouse

__all__ = ["Kept", "Scope", "checkable", "reconcile", "report_key", "what_is_read"]

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


def reconcile(
    store: ObjectStore,
    leases: Leases,
    runs: Runs | None,
    warehouse: Warehouse | None,
    search: SearchIndex | None,
    clock: Clock,
    datasets: Mapping[str, Dataset],
    scope: Scope,
    kept: Kept,
) -> Reconciliation:
    """All of it at once. Writes nothing. A destination that the stack does not have (None) is not compared."""
    began = Beginning.now(leases, runs, clock)
    mine = compared(datasets, warehouse, search, scope)
    report = a_report(began.at, mine, scope)
    read = (source.read(None) for source in sources(store, warehouse, search, datasets, mine, scope))
    facts = sort_on_disk(fact for facts in read for _, fact in facts)
    first = next(facts, None)  # Everything is read by now.
    judge = a_judge(store, leases, clock, kept)
    in_flight = began.in_flight(store, leases)
    judge_all(chain([first] if first else [], facts), judge, in_flight, mine, scope, report)
    report.ended = clock.now()
    return report


def compared(
    datasets: Mapping[str, Dataset], warehouse: Warehouse | None, search: SearchIndex | None, scope: Scope
) -> dict[str, Dataset]:
    return {name: checkable(one, warehouse, search) for name, one in datasets.items() if scope.has(name)}


def a_report(began: datetime, mine: Mapping[str, Dataset], scope: Scope) -> Reconciliation:
    """Of nothing yet."""
    return Reconciliation(began, began, scope.since, {name: Checked() for name in mine})


def a_judge(store: ObjectStore, leases: Leases, clock: Clock, kept: Kept) -> Judge:
    return Judge(clock.now(), kept, frozenset(leases.waiting()), lambda key: _refused_by_index(store, key))


def judge_all(
    facts: Iterator[Fact],
    judge: Judge,
    in_flight: InFlight,
    mine: Mapping[str, Dataset],
    scope: Scope,
    report: Reconciliation,
) -> None:
    """`facts` are sorted, and all that there are of each arrival."""
    for seen, moved in _seen(_without_strangers(facts, report)):
        if not scope.has(seen.dataset):
            continue
        checked, dataset = report.of(seen.dataset), mine.get(seen.dataset)
        checked.arrivals += 1
        checked.rows += seen.rows
        checked.documents += seen.documents
        for place in seen.places:
            root = place.root.rstrip("/")
            setattr(checked, root, getattr(checked, root) + 1)
        if in_flight.has(seen, dataset):
            checked.in_flight += 1
        elif scope.since is None or _is_since(seen, moved, scope.since):
            report.add(judge.disagreements(seen, dataset))


def report_key(at: datetime) -> str:
    """Where a report is kept; it goes with the plans."""
    return f"{PLANS}reconcile/{at:%Y%m%dT%H%M%S}.json"


def what_is_read(bucket: str, datasets: Mapping[str, Dataset], scope: Scope) -> Iterator[str]:
    """Every listing, query and request that `reconcile` makes, a line each."""
    for root in roots(datasets, scope):
        yield f"list s3://{bucket}/{root}"
    yield "read from the lease table: the runs that are live, the last thousand runs, and what was put back"
    yield f"read s3://{bucket}/{PLANS}<run>/plan.json of each run that is live"
    for dataset in once(datasets, scope, table_of):
        yield f"read the load ledger of {table_of(dataset)}, a page at a time"
        since = f", of arrivals decided since {scope.since.isoformat()}" if scope.since else ""
        yield f"count the rows of {table_of(dataset)} by penstock_arrival{since}"
    for dataset in once(datasets, scope, index_of):
        yield f"count the documents of index {index_of(dataset)} by penstock_arrival"
    yield f"read the {REJECTS} of each arrival that has fewer documents than rows"


def checkable(dataset: Dataset, warehouse: Warehouse | None, search: SearchIndex | None) -> Dataset:
    """The dataset with those destinations that the stack has."""
    missing = {
        **({"table": None} if warehouse is None else {}),
        **({"index": None} if search is None else {}),
    }
    return dataset.model_copy(update=missing)


def _claimed(run: RunRecord) -> str:
    return run.claim.prefix if run.claim else ""


def _planned(store: ObjectStore, run: str) -> tuple[Arrival, ...]:
    """Nothing of a run whose plan is gone, or that has none, as a backfill."""
    with suppress(KeyError):
        return tuple(Plan.from_json(store.get_json(plan_key(run))).arrivals)
    return ()


def _refused_by_index(store: ObjectStore, key: str) -> int:
    try:
        return sum(orjson.loads(line)["by"] == "search" for line in store.lines(key))
    except KeyError:
        return 0


# ── putting together ────────────────────────────────────────────────────────────────────────────────────────────────


def _without_strangers(facts: Iterator[Fact], report: Reconciliation) -> Iterator[Fact]:
    for fact in facts:
        if fact[1] != STRANGER:
            yield fact
            continue
        name, key = fact[2]
        what = f"{key} was not put there by Penstock: its name carries no arrival."
        todo = f"Move it away, or load it: put it below {INCOMING}. A replay passes it over."
        report.add([Disagreement(name, "", key, Kind.STRANGER, what, todo)])


def _seen(facts: Iterator[Fact]) -> Iterator[tuple[Seen, str]]:
    """Each arrival, with the time at which its file was last put or moved."""
    for arrival, group in groupby(facts, itemgetter(0)):
        seen, moved, owners = Seen(arrival), "", dict[str, str]()
        companions: list[list[Any]] = []
        for _, kind, what in group:
            owners[kind] = what[0]
            if kind == "place":
                seen.places.append(Place(*what[1:4]))
                moved = max(moved, what[4])
            elif kind == "companion":
                companions.append(what)
                moved = max(moved, what[3])
            elif kind == "ledger":
                seen.ledger = _entry(what)
                owners[kind] = seen.ledger.dataset
            elif kind == "rows":
                seen.rows += what[1]
            else:
                seen.documents += what[1]
        for _, key, size, _ in companions:
            if _is_the_file(seen, key):
                seen.places.append(Place(FAILED, key, size))
            else:
                seen.companions.append(key)
        order = ("ledger", "place", "companion", "rows", "documents")
        seen.dataset = next(owners[kind] for kind in order if kind in owners)
        yield seen, moved


def _is_the_file(seen: Seen, key: str) -> bool:
    """Whether that is no companion but the arrival itself, which a producer called so."""
    return seen.ledger is not None and key.endswith(f"{seen.arrival}-{seen.ledger.key.rpartition('/')[2]}")


def _entry(what: list[Any]) -> LedgerEntry:
    named = dict(zip(ENTRY, what, strict=True))
    decided = named["decided"]  # A text where it was on disk meanwhile.
    named["decided"] = decided if isinstance(decided, datetime) else datetime.fromisoformat(decided)
    return LedgerEntry(**{**named, "verdict": Verdict(named["verdict"])})


def _is_since(seen: Seen, moved: str, since: datetime) -> bool:
    if seen.ledger:
        return seen.ledger.decided >= since
    return not moved or datetime.fromisoformat(moved) >= since
