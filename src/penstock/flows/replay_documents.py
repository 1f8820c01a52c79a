"""Writes a dataset's documents anew from `processed/`, into its own index, while that is searched and written.

Ids are functions of arrivals and keys, so what is right is written over itself. What an earlier definition or another
hand left under an arrival goes when the arrival is written; the documents of an arrival that is known not to be loaded
go first. What nobody knows is counted, and stays: its file may have expired. One file is read at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.flows.index_batch import Indexing
from penstock.flows.look_after_runs import arrivals_of
from penstock.flows.replay_dataset import Window
from penstock.flows.set_aside import REASON, REJECTS
from penstock.model.arrivals import FAILED, Arrival, arrival_id_of, is_settled
from penstock.model.datasets import Dataset
from penstock.model.documents import version_of
from penstock.model.errors import PermanentError
from penstock.model.outcomes import Verdict
from penstock.ports import Clock, Leases, ObjectStore, SearchIndex, Warehouse


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a replay would do. `wanted` are the arrivals that have documents, the oldest first; the rest is by arrival
    id, with the documents that are there: `doomed` are known not to be loaded, and `unknown` to nobody.
    """

    wanted: tuple[Arrival, ...]
    doomed: dict[str, int]
    unknown: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        return {
            "files": len(self.wanted),
            "documents_to_remove": sum(self.doomed.values()),
            "documents_of_unknown_arrivals": sum(self.unknown.values()),
        }


@dataclass(slots=True)
class Written:
    """`refused` have reasons, by key. `differences` are arrivals whose documents are not as many as were written."""

    files: int = 0
    documents: int = 0
    rejected: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    differences: dict[str, tuple[int, int]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "files": self.files,
            "documents": self.documents,
            "rejected": self.rejected,
            "refused": [{"key": key, "reason": reason} for key, reason in self.refused.items()],
            "differences": [
                {"key": key, "written": written, "found": found} for key, (written, found) in self.differences.items()
            ],
        }


def indexed_dataset(dataset: Dataset, *, has_warehouse: bool) -> str:
    """The index's name. Raises PermanentError when the dataset has none, or has a table that this stack has not."""
    if dataset.index is None:
        raise PermanentError(f"dataset {dataset.name} has no index, so it has no documents to write anew")
    if dataset.table and not has_warehouse:
        raise PermanentError(
            f"dataset {dataset.name} has a table, whose ledger says which files have documents, and this stack has no "
            "warehouse"
        )
    return dataset.index.name


def foresee(
    store: ObjectStore,
    leases: Leases,
    warehouse: Warehouse | None,
    search: SearchIndex,
    dataset: Dataset,
    processed: Sequence[Arrival],
    window: Window,
) -> Foreseen:
    """Reads listings, ledger and index, and writes nothing. `processed` are all that lie there, the oldest first."""
    index = indexed_dataset(dataset, has_warehouse=warehouse is not None)
    there = dict(search.documents_by_arrival(index))
    here = {arrival.id for arrival in processed}
    at_work = set(arrivals_of(store, leases.live_runs()))
    if dataset.table is None or warehouse is None:
        refused = {
            arrival_id_of(key)
            for key in store.keys(f"{FAILED}{dataset.name}/")
            if is_settled(key) and not key.endswith((REASON, REJECTS))
        }
        loaded, refused = here, refused - here
    else:
        ledger = {entry.arrival: entry for entry in warehouse.ledger(dataset)}
        loaded = {id_ for id_, one in ledger.items() if one.verdict is Verdict.LOADED and not one.replaced_by}
        refused = ledger.keys() - loaded
        if dataset.index and dataset.index.id_columns:
            # By key, a duplicate's documents took the place of equal ones: they are the table's rows.
            refused -= {id_ for id_, one in ledger.items() if one.verdict is Verdict.DUPLICATE}
    return Foreseen(
        wanted=tuple(arrival for arrival in processed if arrival.id in loaded and window.has(arrival.modified)),
        doomed={id_: count for id_, count in there.items() if id_ in refused - at_work},
        unknown={id_: count for id_, count in there.items() if id_ not in refused | loaded | at_work},
    )


def write_again(
    store: ObjectStore,
    warehouse: Warehouse | None,
    search: SearchIndex,
    clock: Clock,
    dataset: Dataset,
    foreseen: Foreseen,
    tell: Callable[[Written], None] = lambda _: None,
) -> Written:
    """Removes what is doomed, writes what is wanted, and counts what is there then. `tell` hears after each file."""
    index = indexed_dataset(dataset, has_warehouse=warehouse is not None)
    search.apply(dataset)
    for id_ in foreseen.doomed:
        search.delete_arrival(index, id_)
    done = Written()
    counted: dict[str, tuple[Arrival, int]] = {}
    for arrival in foreseen.wanted:
        indexing = Indexing(dataset, index, store, search, clock.now())
        if warehouse and dataset.row_key:
            outcome = indexing.index_merged(arrival, warehouse)
        else:
            rejects = warehouse.rejects(dataset, arrival) if warehouse and dataset.table else ()
            outcome = indexing.index(arrival, frozenset(reject.line for reject in rejects))
        done.files += 1
        done.documents += outcome.documents
        done.rejected += outcome.rejected
        if outcome.reason:
            done.refused[arrival.lies.key] = outcome.reason
        else:
            search.delete_arrival(index, arrival.id, before=indexing.loaded_at)
            counted[arrival.id] = arrival, outcome.documents
        tell(done)
    there = dict(search.documents_by_arrival(index))
    for id_, (arrival, written) in counted.items():
        # Where files share ids, fewer are right: another's have taken their place.
        found = there.get(id_, 0)
        if found > written or (found < written and not version_of(dataset, arrival)):
            done.differences[arrival.lies.key] = written, found
    return done
