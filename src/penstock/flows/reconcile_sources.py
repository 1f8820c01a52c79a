"""What a reconcile reads: listings, ledgers, rows and documents, as facts about an arrival."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import partial
from operator import attrgetter

from penstock.flows.set_aside import REASON, REJECTS
from penstock.flows.sort_on_disk import Fact
from penstock.model.arrivals import FAILED, INCOMING, PROCESSED, UNCLAIMED, arrival_id_of
from penstock.model.dataset_files import dataset_of
from penstock.model.datasets import Dataset
from penstock.model.outcomes import LedgerEntry
from penstock.ports import ObjectStore, SearchIndex, Warehouse

ENTRY = tuple(one.name for one in fields(LedgerEntry))
"""What a fact of the ledger holds, in this order."""

STRANGER = "stranger"
"""The kind of fact that tells of an object whose name carries no arrival; it is about none."""

_VALUES = attrgetter(*ENTRY)

_BEFORE_PENSTOCK = "0" * 32
"""The arrival of rows that were in a table before Penstock came to it."""

Read = Generator[tuple[str, Fact], None, None]
"""Facts, each with the place by which its source can be read on after it. Several may share one."""


@dataclass(frozen=True, slots=True)
class Scope:
    """`dataset` empty is all of them. `since` judges what was decided since, and all that nothing was decided of."""

    dataset: str = ""
    since: datetime | None = None

    def has(self, dataset: str) -> bool:
        return self.dataset in ("", dataset)


@dataclass(frozen=True, slots=True)
class Source:
    """It is read after a place, "" being its beginning."""

    name: str
    read: Callable[[str], Read]
    slow: bool = False
    """Whether it may be minutes until it says the first."""


def sources(
    store: ObjectStore,
    warehouse: Warehouse | None,
    search: SearchIndex | None,
    datasets: Mapping[str, Dataset],
    mine: Mapping[str, Dataset],
    scope: Scope,
) -> Iterator[Source]:
    """In the direction in which files go, so that one on its way is seen at least where it came from.

    `mine` are those that are compared, as the stack can.
    """
    for root in roots(datasets, scope):
        read = partial(_arrived, store, datasets) if root.startswith(INCOMING) else partial(_settled, store)
        yield Source(root, partial(read, root))
    yield from destinations(warehouse, search, mine, scope)


def destinations(
    warehouse: Warehouse | None, search: SearchIndex | None, mine: Mapping[str, Dataset], scope: Scope
) -> Iterator[Source]:
    if warehouse is not None:
        for one in once(mine, scope, table_of):
            yield Source(f"ledger of {table_of(one)}", partial(_ledger, warehouse, one))
            yield Source(f"rows of {table_of(one)}", partial(_rows, warehouse, one), slow=True)
    if search is not None:
        for one in once(mine, scope, index_of):
            yield Source(f"documents of {index_of(one)}", partial(_documents, search, one))


def roots(datasets: Mapping[str, Dataset], scope: Scope) -> list[str]:
    if not scope.dataset:
        return [INCOMING, PROCESSED, FAILED]
    prefix = datasets[scope.dataset].prefix if scope.dataset in datasets else ""
    return [f"{INCOMING}{prefix}", f"{PROCESSED}{scope.dataset}/", f"{FAILED}{scope.dataset}/"]


def once(datasets: Mapping[str, Dataset], scope: Scope, destination: Callable[[Dataset], str]) -> Iterable[Dataset]:
    """A dataset for each destination: several may share one."""
    found = {where: one for one in datasets.values() if scope.has(one.name) and (where := destination(one))}
    return found.values()


def table_of(dataset: Dataset) -> str:
    return dataset.table.qualified if dataset.table else ""


def index_of(dataset: Dataset) -> str:
    return dataset.index.name if dataset.index else ""


def _arrived(store: ObjectStore, datasets: Mapping[str, Dataset], root: str, after: str) -> Read:
    for arrival in store.arrivals(root, after):
        dataset = dataset_of(datasets, arrival.key)
        name = dataset.name if dataset else UNCLAIMED
        what = [name, INCOMING, arrival.key, arrival.size, arrival.modified.isoformat()]
        yield arrival.key, (arrival.id, "place", what)


def _settled(store: ObjectStore, below: str, after: str) -> Read:
    root, _, _ = below.partition("/")
    for found in store.objects(below, after):
        if not found.size and found.key.endswith("/"):
            continue
        name = found.key.split("/")[1]
        try:
            arrival = arrival_id_of(found.key)
        except ValueError:
            yield found.key, ("", STRANGER, [name, found.key])
            continue
        if root + "/" == FAILED and found.key.endswith((REJECTS, REASON)):
            companion = [name, found.key, found.size, found.modified.isoformat()]
            yield found.key, (arrival, "companion", companion)
        else:
            yield found.key, (arrival, "place", [name, f"{root}/", found.key, found.size, found.modified.isoformat()])


def _ledger(warehouse: Warehouse, dataset: Dataset, after: str) -> Read:
    for entry in warehouse.ledger(dataset, after):
        yield entry.arrival, (entry.arrival, "ledger", [*_VALUES(entry)])


def _rows(warehouse: Warehouse, dataset: Dataset, after: str) -> Read:
    for part in warehouse.row_parts(dataset, after):
        for arrival, rows in warehouse.rows_by_arrival(dataset, part):
            if arrival != _BEFORE_PENSTOCK:
                yield part, (arrival, "rows", [dataset.name, rows])


def _documents(search: SearchIndex, dataset: Dataset, after: str) -> Read:
    for arrival, documents in search.documents_by_arrival(index_of(dataset), after):
        yield arrival, (arrival, "documents", [dataset.name, documents])
