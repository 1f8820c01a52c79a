"""S3 = ledger = rows = documents? Reads all four, and names every arrival of which they do not say the same.

Nothing is asked file by file. Listings, ledger, rows and documents are each read once, a page at a time, and what they
say is sorted by arrival on disk: memory holds one arrival's facts, and those that disagree.

The stack goes on working meanwhile, so what a run was at work on at any time since the beginning is left out: the next
reconcile sees it at rest. What seems to disagree is looked at once more before it is told (`second_look`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

import orjson

from penstock.flows.in_flight import Beginning, InFlight
from penstock.flows.judge_arrival import Judge, Kept, Place, Seen
from penstock.flows.reconcile_sources import (
    ENTRY,
    STRANGER,
    Scope,
    Source,
    destinations,
    index_of,
    once,
    roots,
    sources,
    table_of,
)
from penstock.flows.second_look import Doubts
from penstock.flows.set_aside import REJECTS
from penstock.flows.sort_on_disk import Fact, sort_on_disk
from penstock.model.arrivals import FAILED, INCOMING, PLANS
from penstock.model.datasets import Dataset
from penstock.model.outcomes import LedgerEntry, Verdict
from penstock.model.reconciliation import Checked, Disagreement, Kind, Reconciliation
from penstock.ports import Clock, Leases, ObjectStore, Runs, SearchIndex, Warehouse

__all__ = ["Kept", "Scope", "checkable", "reconcile", "report_key", "what_is_read"]


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

    def look(facts: Iterable[Fact], report: Reconciliation) -> Doubts:
        facts = sort_on_disk(facts)
        first = next(facts, None)  # Everything is read by now.
        judge, in_flight = a_judge(store, leases, clock, kept), began.in_flight(store, leases)
        doubts = Doubts()
        judge_all(chain([first] if first else [], facts), judge, in_flight, mine, scope, report, doubts)
        return doubts

    report, again = a_report(began.at, mine, scope), a_report(began.at, mine, scope)
    doubts = look(_read(sources(store, warehouse, search, datasets, mine, scope)), report)
    if doubts.of:
        there = _read(destinations(warehouse, search, doubts.among(mine), scope))
        look(chain(doubts.in_s3(), filter(doubts.has, there)), again)
        doubts.settle(report, again)
    report.ended = clock.now()
    return report


def compared(
    datasets: Mapping[str, Dataset], warehouse: Warehouse | None, search: SearchIndex | None, scope: Scope
) -> dict[str, Dataset]:
    return {name: checkable(one, warehouse, search) for name, one in datasets.items() if scope.has(name)}


def _read(there: Iterable[Source]) -> Iterator[Fact]:
    return (fact for source in there for _, fact in source.read(""))


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
    doubts: Doubts,
) -> None:
    """`facts` are sorted, and all that there are of each arrival. What is found goes to `report` and `doubts`."""
    for seen, moved, told in _seen(_without_strangers(facts, report)):
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
            found = judge.disagreements(seen, dataset)
            report.add(found)
            doubts.add(found, told)


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
        yield f"count the rows of {table_of(dataset)} by penstock_arrival, a part at a time"
    for dataset in once(datasets, scope, index_of):
        yield f"count the documents of index {index_of(dataset)} by penstock_arrival"
    yield f"read the {REJECTS} of each arrival that has fewer documents than rows"
    yield "read ledger, rows and documents once more where rows or documents seem to disagree"


def checkable(dataset: Dataset, warehouse: Warehouse | None, search: SearchIndex | None) -> Dataset:
    """The dataset with those destinations that the stack has."""
    missing = {
        **({"table": None} if warehouse is None else {}),
        **({"index": None} if search is None else {}),
    }
    return dataset.model_copy(update=missing)


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


def _seen(facts: Iterator[Fact]) -> Iterator[tuple[Seen, str, list[Fact]]]:
    """Each arrival, with the time at which its file was last put or moved, and all that was read of it."""
    for arrival, group in groupby(facts, itemgetter(0)):
        told = list(group)
        seen, moved, owners = Seen(arrival), "", dict[str, str]()
        companions: list[list[Any]] = []
        for _, kind, what in told:
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
        yield seen, moved, told


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
