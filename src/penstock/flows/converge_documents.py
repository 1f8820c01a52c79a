"""Makes an arrival's documents those of its loaded rows, before it is settled. Doing it again changes nothing."""

from __future__ import annotations

from penstock.flows.withdraw_rows import withdraw_rows
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.outcomes import IndexOutcome, LoadOutcome
from penstock.ports import ObjectStore, SearchIndex, Warehouse


def converge(
    store: ObjectStore,
    warehouse: Warehouse,
    search: SearchIndex,
    dataset: Dataset,
    arrival: Arrival,
    load: LoadOutcome,
    indexed: IndexOutcome,
) -> int:
    """How many documents it has then. The dataset has a table and an index, and the arrival was loaded and indexed."""
    if dataset.index is None:
        return 0
    for replaced in load.replaced:
        search.delete_arrival(dataset.index.name, replaced)
    if not load.rejects or dataset.index.id_columns:  # By key, only loaded rows were written in the first place.
        return indexed.documents
    # The index takes some rows that the warehouse doesn't (a constraint, a number out of range).
    lines = frozenset(reject.line for reject in warehouse.rejects(dataset, arrival))
    lines -= {reject.line for reject in indexed.rejects}
    withdraw_rows(arrival, dataset, lines, store, search)
    return max(0, indexed.documents - len(lines))
