"""S3 = ledger = rows = documents? Reads all four, and names every arrival of which they do not say the same.

Nothing is asked file by file. Listings, ledger, rows and documents are each read once, a page at a time, and what they
say is sorted by arrival on disk: memory holds one arrival's facts, and those that disagree.

The stack goes on working meanwhile, so what a run was at work on at any time since the beginning is left out: the next
reconcile sees it at rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any

import orjson

from penstock.flows.judge_arrival import Judge, Kept, Place, Seen
from penstock.flows.look_after_runs import arrivals_of
from penstock.flows.set_aside import REASON, REJECTS
from penstock.flows.sort_on_disk import Fact, sort_on_disk
from penstock.model.arrivals import FAILED, INCOMING, PLANS, PROCESSED, UNCLAIMED, arrival_id_of
from penstock.model.dataset_files import dataset_of
from penstock.model.datasets import Dataset
from penstock.model.outcomes import LedgerEntry, Verdict
from penstock.model.reconciliation import Disagreement, Kind, Reconciliation
from penstock.ports import Clock, Leases, ObjectStore, Runs, RunStatus, SearchIndex, Warehouse

__all__ = ["Kept", "Scope", "checkable", "reconcile", "report_key", "what_is_read"]

_RUNS = 1_000
"""How many runs are looked back on; more than can begin while this reads."""

_NAMES = tuple(one.name for one in fields(LedgerEntry))
_VALUES = attrgetter(*_NAMES)

_BEFORE_PENSTOCK = "0" * 32
"""The arrival of rows that were in a table before Penstock came to it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """`dataset` empty is all of them. `since` judges what was decided since, and all that nothing was decided of."""

    dataset: str = ""
    since: datetime | None = None

    def has(self, dataset: str) -> bool:
        return self.dataset in ("", dataset)


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
    """Writes nothing. A destination that the stack does not have (None) is not compared.

    Without `runs` a run goes on until a listing has seen it end.
    """
    began = clock.now()
    before = {run.id for run in leases.runs(_RUNS)}
    live = [
        run
        for run in leases.live_runs()
        if began < run.expires
        and (runs is None or runs.status(run.execution) in (RunStatus.RUNNING, RunStatus.MISSING))
    ]
    in_flight = set(arrivals_of(store, live))

    mine = {name: checkable(dataset, warehouse, search) for name, dataset in datasets.items() if scope.has(name)}
    report = Reconciliation(began, began, scope.since, checked={})
    for name in mine:
        report.of(name)
    facts = sort_on_disk(_facts(store, warehouse, search, datasets, mine, scope, report))
    first = next(facts, None)  # Everything is read by now.
    since = [run for run in leases.runs(_RUNS) if run.id not in before]
    in_flight |= set(arrivals_of(store, since))
    claimed = tuple(run.claim.prefix for run in (*live, *since) if run.claim)

    judge = Judge(began, kept, frozenset(leases.waiting()), lambda key: _refused_by_index(store, key))
    for seen, moved in _seen(_again(first, facts)):
        if not scope.has(seen.dataset):
            continue
        checked = report.of(seen.dataset)
        checked.arrivals += 1
        checked.rows += seen.rows
        checked.documents += seen.documents
        for place in seen.places:
            root = place.root.rstrip("/")
            setattr(checked, root, getattr(checked, root) + 1)
        if seen.arrival in in_flight or any(
            place.root == INCOMING and place.key.startswith(claimed) for place in seen.places
        ):
            checked.in_flight += 1
        elif scope.since is None or _is_since(seen, moved, scope.since):
            report.add(judge.disagreements(seen, mine.get(seen.dataset)))
    report.ended = clock.now()
    return report


def report_key(at: datetime) -> str:
    """Where a report is kept; it goes with the plans."""
    return f"{PLANS}reconcile/{at:%Y%m%dT%H%M%S}.json"


def what_is_read(bucket: str, datasets: Mapping[str, Dataset], scope: Scope) -> Iterator[str]:
    """Every listing, query and request that `reconcile` makes, a line each."""
    for root in _roots(datasets, scope):
        yield f"list s3://{bucket}/{root}"
    yield "read from the lease table: the runs that are live, the last thousand runs, and what was put back"
    yield f"read s3://{bucket}/{PLANS}<run>/plan.json of each run that is live"
    for dataset in _once(datasets, scope, _table):
        yield f"read the load ledger of {_table(dataset)}, a page at a time"
        since = f", of arrivals decided since {scope.since.isoformat()}" if scope.since else ""
        yield f"count the rows of {_table(dataset)} by penstock_arrival{since}"
    for dataset in _once(datasets, scope, _index):
        yield f"count the documents of index {_index(dataset)} by penstock_arrival"
    yield f"read the {REJECTS} of each arrival that has fewer documents than rows"


def checkable(dataset: Dataset, warehouse: Warehouse | None, search: SearchIndex | None) -> Dataset:
    """The dataset with those destinations that the stack has."""
    missing = {
        **({"table": None} if warehouse is None else {}),
        **({"index": None} if search is None else {}),
    }
    return dataset.model_copy(update=missing)


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _facts(
    store: ObjectStore,
    warehouse: Warehouse | None,
    search: SearchIndex | None,
    datasets: Mapping[str, Dataset],
    mine: Mapping[str, Dataset],
    scope: Scope,
    report: Reconciliation,
) -> Iterator[Fact]:
    # In the direction in which files go, so that one on its way is seen at least where it came from.
    for root in _roots(datasets, scope):
        if root.startswith(INCOMING):
            yield from _arrived(store, datasets, root)
        else:
            yield from _settled(store, root, report)
    if warehouse is not None:
        for dataset in _once(mine, scope, _table):
            for entry in warehouse.ledger(dataset):
                yield entry.arrival, "ledger", [*_VALUES(entry)]
            for arrival, rows in warehouse.rows_by_arrival(dataset, scope.since):
                if arrival != _BEFORE_PENSTOCK:
                    yield arrival, "rows", [dataset.name, rows]
    if search is not None:
        for dataset in _once(mine, scope, _index):
            for arrival, documents in search.documents_by_arrival(_index(dataset)):
                yield arrival, "documents", [dataset.name, documents]


def _roots(datasets: Mapping[str, Dataset], scope: Scope) -> list[str]:
    if not scope.dataset:
        return [INCOMING, PROCESSED, FAILED]
    prefix = datasets[scope.dataset].prefix if scope.dataset in datasets else ""
    return [f"{INCOMING}{prefix}", f"{PROCESSED}{scope.dataset}/", f"{FAILED}{scope.dataset}/"]


def _once(datasets: Mapping[str, Dataset], scope: Scope, destination: Callable[[Dataset], str]) -> Iterable[Dataset]:
    """A dataset for each destination: several may share one."""
    found = {where: one for one in datasets.values() if scope.has(one.name) and (where := destination(one))}
    return found.values()


def _table(dataset: Dataset) -> str:
    return dataset.table.qualified if dataset.table else ""


def _index(dataset: Dataset) -> str:
    return dataset.index.name if dataset.index else ""


def _arrived(store: ObjectStore, datasets: Mapping[str, Dataset], root: str) -> Iterator[Fact]:
    for arrival in store.arrivals(root):
        dataset = dataset_of(datasets, arrival.key)
        name = dataset.name if dataset else UNCLAIMED
        yield arrival.id, "place", [name, INCOMING, arrival.key, arrival.size, arrival.modified.isoformat()]


def _settled(store: ObjectStore, below: str, report: Reconciliation) -> Iterator[Fact]:
    root, _, _ = below.partition("/")
    for found in store.objects(below):
        if not found.size and found.key.endswith("/"):
            continue
        name = found.key.split("/")[1]
        try:
            arrival = arrival_id_of(found.key)
        except ValueError:
            what = f"{found.key} was not put there by Penstock: its name carries no arrival."
            todo = f"Move it away, or load it: put it below {INCOMING}. A replay passes it over."
            report.add([Disagreement(name, "", found.key, Kind.STRANGER, what, todo)])
            continue
        if root + "/" == FAILED and found.key.endswith((REJECTS, REASON)):
            yield arrival, "companion", [name, found.key, found.size, found.modified.isoformat()]
        else:
            yield arrival, "place", [name, f"{root}/", found.key, found.size, found.modified.isoformat()]


def _refused_by_index(store: ObjectStore, key: str) -> int:
    try:
        return sum(orjson.loads(line)["by"] == "search" for line in store.lines(key))
    except KeyError:
        return 0


# ── putting together ────────────────────────────────────────────────────────────────────────────────────────────────


def _again(first: Fact | None, rest: Iterator[Fact]) -> Iterator[Fact]:
    if first is not None:
        yield first
        yield from rest


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
    named = dict(zip(_NAMES, what, strict=True))
    decided = named["decided"]  # A text where it was on disk meanwhile.
    named["decided"] = decided if isinstance(decided, datetime) else datetime.fromisoformat(decided)
    return LedgerEntry(**{**named, "verdict": Verdict(named["verdict"])})


def _is_since(seen: Seen, moved: str, since: datetime) -> bool:
    if seen.ledger:
        return seen.ledger.decided >= since
    return not moved or datetime.fromisoformat(moved) >= since
