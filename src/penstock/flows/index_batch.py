"""Write the documents of a batch's arrivals into their dataset's index, and leave word of what became of each.

It runs beside the load and decides nothing: where the dataset has a table, `settle_batch` makes the index follow the
load ledger. Each file is streamed; a step that is repeated writes the same documents under the same ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from penstock.flows.plan_of import read_batch
from penstock.model.arrivals import Arrival
from penstock.model.compression import decompressed
from penstock.model.datasets import Dataset
from penstock.model.documents import Document, MakeDocument, document_maker
from penstock.model.errors import BadFileError, PermanentError
from penstock.model.outcomes import IndexOutcome, Reject, Verdict
from penstock.model.plans import indexed_key
from penstock.model.rows import Row, rows
from penstock.ports import Clock, ObjectStore, SearchIndex, Warehouse

MAX_REJECTS = 1000
"""How many rejects an outcome holds; all are counted."""

_AT_ONCE = 4
"""Files read at the same time: the index works on one while the next is on its way from S3."""


def index_batch(
    plan_id: str,
    number: int,
    store: ObjectStore,
    warehouse: Warehouse | None,
    search: SearchIndex | None,
    datasets: Mapping[str, Dataset],
    clock: Clock,
) -> dict[str, Any]:
    """`{"status": "done", "documents", "rejected"}`; an IndexOutcome per arrival goes to `indexed_key`.

    A dataset without an index, and one with a table in a stack without an index, is done at once and leaves no word.
    Raises TransientError when store, ledger or index can't be had, and PermanentError when the index refuses all.
    """
    batch = read_batch(store, plan_id, number)
    dataset = datasets.get(batch.dataset)
    if dataset is None or dataset.index is None or (search is None and dataset.table is not None):
        return {"status": "done", "documents": 0, "rejected": 0}
    if search is None:
        raise PermanentError(
            f"dataset {dataset.name} goes to index {dataset.index.name} alone, and this stack has no index: "
            "deploy it with one, or remove the dataset"
        )
    indexing = _Indexing(dataset, dataset.index.name, store, search, clock.now())
    ledger = warehouse if dataset.table is not None else None
    withheld = _withheld(ledger, dataset, batch.arrivals)
    # Those that the load will find to be duplicates have their documents already, under another arrival's id.
    known = ledger.duplicates(dataset, batch.arrivals) if ledger else frozenset()
    open_ = [arrival for arrival in batch.arrivals if arrival.id not in withheld and arrival.id not in known]
    # By key, the last file of those that hold it wins: such files take their turns. Others don't meet.
    with ThreadPoolExecutor(1 if dataset.index.id_columns else _AT_ONCE) as pool:
        outcomes = dict(zip([arrival.id for arrival in open_], pool.map(indexing.index, open_), strict=True))
    # The load may have decided meanwhile, and its run may have settled without us if we are a Lambda given up on.
    for late, verdict in _withheld(ledger, dataset, open_).items():
        # With declared ids a duplicate's documents took the place of equal ones: deleting them would leave loaded rows
        # without a document.
        if not (verdict is Verdict.DUPLICATE and dataset.index.id_columns):
            search.delete_arrival(dataset.index.name, late)
        del outcomes[late]
    answers = {arrival.id: outcomes.get(arrival.id, IndexOutcome()) for arrival in batch.arrivals}
    store.put_json(indexed_key(plan_id, number), {id_: outcome.to_json() for id_, outcome in answers.items()})
    return {
        "status": "done",
        "documents": sum(outcome.documents for outcome in answers.values()),
        "rejected": sum(outcome.rejected for outcome in answers.values()),
    }


def _withheld(warehouse: Warehouse | None, dataset: Dataset, arrivals: Sequence[Arrival]) -> Mapping[str, Verdict]:
    """The arrivals of which the load ledger wants no documents, by id, and what it says of them."""
    if warehouse is None or not arrivals:
        return {}
    found = warehouse.outcomes(dataset, arrivals)
    return {id_: outcome.verdict for id_, outcome in found.items() if outcome.verdict is not Verdict.LOADED}


@dataclass(frozen=True, slots=True)
class _Indexing:
    dataset: Dataset
    index_name: str
    store: ObjectStore
    search: SearchIndex
    loaded_at: datetime

    def index(self, arrival: Arrival) -> IndexOutcome:
        make = document_maker(self.dataset, arrival, self.loaded_at)
        try:
            if self.dataset.index and self.dataset.index.id_columns:
                # A document that another one took the place of can't be brought back: look before writing any.
                checked = _Reading(make)
                with self._rows(arrival) as found:
                    for _ in checked.documents(found):
                        pass
                if reason := checked.over(self.dataset):
                    return IndexOutcome(rejects=tuple(checked.rejects), rejected=checked.rejected, reason=reason)
            reading = _Reading(make)
            with self._rows(arrival) as found:
                written = self.search.write(self.index_name, reading.documents(found))
        except BadFileError as error:
            self.search.delete_arrival(self.index_name, arrival.id)
            return IndexOutcome(reason=str(error))
        rejects = sorted((*reading.rejects, *written.rejects), key=lambda reject: reject.line)
        return IndexOutcome(
            documents=written.documents,
            rejects=tuple(rejects[:MAX_REJECTS]),
            rejected=reading.rejected + written.rejected,
        )

    @contextmanager
    def _rows(self, arrival: Arrival) -> Iterator[Iterator[Row]]:
        with self.store.open(arrival) as stream:
            yield rows(decompressed(stream, self.dataset.compression_of(arrival.key)), self.dataset)


@dataclass(slots=True)
class _Reading:
    """One pass over a file. What can be no document is counted here; the index's own rejects come with its outcome."""

    make: MakeDocument
    seen: int = 0
    rejected: int = 0
    rejects: list[Reject] = field(default_factory=list)

    def documents(self, of: Iterable[Row]) -> Iterator[Document]:
        for ordinal, row in enumerate(of):
            self.seen += 1
            made = self.make(ordinal, row)
            if isinstance(made, Document):
                yield made
                continue
            self.rejected += 1
            if len(self.rejects) < MAX_REJECTS:
                self.rejects.append(made)

    def over(self, dataset: Dataset) -> str:
        """Why the file is refused whole, if more of its rows are rejected than the dataset allows."""
        if not self.rejected or self.rejected <= dataset.max_reject_ratio * self.seen:
            return ""
        first = self.rejects[0]
        return (
            f"{self.rejected} of {self.seen} rows can't be read, and dataset {dataset.name} allows "
            f"{dataset.max_reject_ratio:.0%}; the first is on line {first.line}: {first.reason}"
        )
