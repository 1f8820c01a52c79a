"""Write the documents of a batch's arrivals into their dataset's index, and leave word of what became of each.

It decides nothing. Where the dataset has a table, it runs beside the load and `settle_batch` makes the index follow the
load ledger; but a document that took another's place by its key can't be taken back, so where the dataset has keys too,
only what the ledger says is loaded is written, once the load has ended. Each file is streamed; a step that is repeated
writes the same documents under the same ids.

A Lambda that was given up on goes on, and may write when all is settled. So whoever has written asks once more what was
decided, and takes out what must not be there; and where files share ids, their documents' versions say which stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from penstock.flows.plan_of import read_batch
from penstock.flows.refusals import refusal_of
from penstock.flows.withdraw_rows import withdraw_rows
from penstock.model.arrivals import PROCESSED, Arrival, Location, settled_key
from penstock.model.compression import decompressed
from penstock.model.datasets import Dataset, Format
from penstock.model.documents import Document, MakeDocument, document_maker
from penstock.model.errors import BadFileError, PermanentError
from penstock.model.huge import Bound, refused_as_huge
from penstock.model.outcomes import MAX_REJECTS, IndexOutcome, LoadOutcome, Reject, Verdict, too_many_rejects
from penstock.model.plans import indexed_key
from penstock.model.rows import Row, rows
from penstock.ports import Clock, ObjectStore, SearchIndex, Warehouse

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
    *,
    load_ended: bool = False,
    reads_parquet: bool = True,
    bound: Bound | None = None,
) -> dict[str, Any]:
    """`{"status": "done", "documents", "rejected"}`; an IndexOutcome per arrival goes to `indexed_key`.

    `{"status": "waiting", …}` where documents have to follow the load and it goes on: ask again when it has ended. With
    `load_ended` what the ledger has not decided by then is left without word, and `settle_batch` puts it back.

    `{"status": "parquet", …}` where the batch is of Parquet files and whoever asks can't read them: nothing was done.

    `{"status": "huge", …}` where a function, which is held to `bound`, has no time for a file and the stack has a task;
    without one the file is refused, with that reason.

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
    if dataset.format is Format.PARQUET and not reads_parquet:
        return {"status": "parquet", "documents": 0, "rejected": 0}
    huge = refused_as_huge(bound, dataset, batch)
    if huge is None:
        return {"status": "huge", "documents": 0, "rejected": 0}
    arrivals = [one for one in batch.arrivals if one.id not in huge]
    indexing = Indexing(dataset, dataset.index.name, store, search, clock.now())
    if warehouse is not None and dataset.table is not None:
        if dataset.index.id_columns:
            found = warehouse.outcomes(dataset, arrivals)
            if len(found) < len(arrivals) and not load_ended:
                return {"status": "waiting", "documents": 0, "rejected": 0}
            outcomes = _after_the_load(indexing, warehouse, arrivals, found)
        else:
            outcomes = _beside_the_load(indexing, warehouse, arrivals)
    else:
        outcomes = _unless_refused(indexing, arrivals)
    outcomes.update({id_: IndexOutcome(reason=reason) for id_, reason in huge.items()})
    store.put_json(indexed_key(plan_id, number), {id_: outcome.to_json() for id_, outcome in outcomes.items()})
    return {
        "status": "done",
        "documents": sum(outcome.documents for outcome in outcomes.values()),
        "rejected": sum(outcome.rejected for outcome in outcomes.values()),
    }


def _after_the_load(
    indexing: Indexing, warehouse: Warehouse, arrivals: Sequence[Arrival], found: Mapping[str, LoadOutcome]
) -> dict[str, IndexOutcome]:
    """One after the other: the last file that holds a key wins. Rows that the ledger rejected take no row's place."""
    outcomes: dict[str, IndexOutcome] = {}
    for arrival in arrivals:
        load = found.get(arrival.id)
        if load is None:
            continue
        if _is_withheld(load):
            outcomes[arrival.id] = IndexOutcome()
            continue
        if indexing.dataset.row_key:
            outcomes[arrival.id] = indexing.index_merged(arrival, warehouse)
            continue
        rejects = warehouse.rejects(indexing.dataset, arrival) if load.rejects else ()
        outcomes[arrival.id] = indexing.index(arrival, frozenset(reject.line for reject in rejects))
    return _as_decided(indexing, warehouse, arrivals, outcomes)


def _beside_the_load(indexing: Indexing, warehouse: Warehouse, arrivals: Sequence[Arrival]) -> dict[str, IndexOutcome]:
    dataset = indexing.dataset
    withheld = _withheld(warehouse, dataset, arrivals)
    # Those that the load will find to be duplicates have their documents already, under another arrival's id.
    known = warehouse.duplicates(dataset, arrivals)
    wanted = [one for one in arrivals if one.id not in withheld and one.id not in known]
    outcomes = {arrival.id: IndexOutcome() for arrival in wanted}
    try:
        outcomes = _all(indexing, wanted)
    finally:  # Also where one has been settled and is not there any more: the others are written by then.
        outcomes = _as_decided(indexing, warehouse, wanted, outcomes)
    return {arrival.id: outcomes.get(arrival.id, IndexOutcome()) for arrival in arrivals}


def _unless_refused(indexing: Indexing, arrivals: Sequence[Arrival]) -> dict[str, IndexOutcome]:
    """Without a table: what a settling has refused stays refused."""

    def refused(some: Sequence[Arrival]) -> dict[str, IndexOutcome]:
        reasons = {one.id: refusal_of(indexing.store, indexing.dataset, one) for one in some}
        return {id_: IndexOutcome(reason=reason) for id_, reason in reasons.items() if reason}

    before = refused(arrivals)
    wanted = [one for one in arrivals if one.id not in before]
    try:
        outcomes = _all(indexing, wanted)
    finally:  # Also where one has been settled and is not there any more: the others are written by then.
        meanwhile = refused(wanted)
        for late in meanwhile:
            indexing.search.delete_arrival(indexing.index_name, late)
    return {**outcomes, **before, **meanwhile}


def _as_decided(
    indexing: Indexing, warehouse: Warehouse, arrivals: Sequence[Arrival], outcomes: dict[str, IndexOutcome]
) -> dict[str, IndexOutcome]:
    """The load may have decided meanwhile, and another run may have settled without us if we were given up on."""
    written = [arrival for arrival in arrivals if arrival.id in outcomes]
    found = warehouse.outcomes(indexing.dataset, written) if written else {}
    for arrival in written:
        load = found.get(arrival.id)
        if load is None:
            continue
        if _is_withheld(load):
            indexing.search.delete_arrival(indexing.index_name, arrival.id)
            outcomes[arrival.id] = IndexOutcome()
        elif load.rejects:
            lines = frozenset(reject.line for reject in warehouse.rejects(indexing.dataset, arrival))
            lines -= {reject.line for reject in outcomes[arrival.id].rejects}
            try:
                withdraw_rows(arrival, indexing.dataset, lines, indexing.store, indexing.search)
            except PermanentError:  # It was settled, and moved.
                for there in _processed(indexing, arrival):
                    withdraw_rows(there, indexing.dataset, lines, indexing.store, indexing.search)
    return outcomes


def _processed(indexing: Indexing, arrival: Arrival) -> list[Arrival]:
    """The arrival where it lies in `processed/`, if it does."""
    key = settled_key(PROCESSED, indexing.dataset.name, indexing.dataset.prefix, arrival)
    versions = [version.version_id for version in indexing.store.arrivals(key) if version.key == key]
    return [replace(arrival, location=Location(key, tuple(versions)))] if versions else []


def _all(indexing: Indexing, arrivals: Sequence[Arrival]) -> dict[str, IndexOutcome]:
    # By key, the last file of those that hold it wins: such files take their turns. Others don't meet.
    with ThreadPoolExecutor(1 if indexing.keyed else _AT_ONCE) as pool:
        return dict(zip([arrival.id for arrival in arrivals], pool.map(indexing.index, arrivals), strict=True))


def _withheld(warehouse: Warehouse, dataset: Dataset, arrivals: Sequence[Arrival]) -> frozenset[str]:
    return frozenset(id_ for id_, load in warehouse.outcomes(dataset, arrivals).items() if _is_withheld(load))


def _is_withheld(load: LoadOutcome) -> bool:
    """The load ledger wants no documents of it, or no more: its rows may have been replaced since."""
    return load.verdict is not Verdict.LOADED or load.is_replaced


@dataclass(frozen=True, slots=True)
class Indexing:
    """Writes the documents of a dataset's files, one file at a time; `loaded_at` is what they carry."""

    dataset: Dataset
    index_name: str
    store: ObjectStore
    search: SearchIndex
    loaded_at: datetime

    @property
    def keyed(self) -> bool:
        return bool(self.dataset.index and self.dataset.index.id_columns)

    def index(self, arrival: Arrival, without: frozenset[int] = frozenset()) -> IndexOutcome:
        """`without` are the lines of rows that the load ledger rejected: counted as rejects, and not written."""
        make = document_maker(self.dataset, arrival, self.loaded_at)
        try:
            if self.keyed and self.dataset.table is None:
                # No ledger has judged it, and a document that another one took the place of can't be brought back.
                checked = _Reading(make)
                with self._rows(arrival) as found:
                    for _ in checked.documents(found):
                        pass
                if reason := checked.over(self.dataset):
                    return IndexOutcome(rejects=tuple(checked.rejects), rejected=checked.rejected, reason=reason)
            reading = _Reading(make, without)
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

    def index_merged(self, arrival: Arrival, warehouse: Warehouse) -> IndexOutcome:
        """By `row_key`: what stands in the table of its rows, whenever that is asked. A row that has taken the place
        of one of them is of a greater version, and its own arrival's indexing writes it.
        """
        make = document_maker(self.dataset, arrival, self.loaded_at)

        def documents() -> Iterator[Document]:
            for ordinal, row in enumerate(warehouse.merged_rows(self.dataset, arrival)):
                made = make(ordinal, Row(0, "", row.values))
                if isinstance(made, Document):
                    yield replace(made, version=row.version)

        return self.search.write(self.index_name, documents())

    @contextmanager
    def _rows(self, arrival: Arrival) -> Iterator[Iterator[Row]]:
        with self.store.open(arrival) as stream:
            compression = self.dataset.compression_of(arrival.key)
            yield rows(decompressed(stream, compression, self.dataset.limits), self.dataset)


@dataclass(slots=True)
class _Reading:
    """One pass over a file. What can be no document is counted here; the index's own rejects come with its outcome."""

    make: MakeDocument
    without: frozenset[int] = frozenset()
    seen: int = 0
    rejected: int = 0
    rejects: list[Reject] = field(default_factory=list)

    def documents(self, of: Iterable[Row]) -> Iterator[Document]:
        for ordinal, row in enumerate(of):
            self.seen += 1
            if row.line in self.without:
                self.rejected += 1
                continue
            made = self.make(ordinal, row)
            if isinstance(made, Document):
                yield made
                continue
            self.rejected += 1
            if len(self.rejects) < MAX_REJECTS:
                self.rejects.append(made)

    def over(self, dataset: Dataset) -> str:
        """Why the file is refused whole, if more of its rows are rejected than the dataset allows."""
        allowed = dataset.rejects_allowed(self.seen)
        return too_many_rejects(self.rejected, self.seen, allowed, self.rejects[0]) if self.rejected > allowed else ""
