"""Makes an arrival's documents those of its loaded rows, before it is settled. Doing it again changes nothing."""

from __future__ import annotations

from penstock.model.arrivals import Arrival
from penstock.model.compression import decompressed
from penstock.model.datasets import Dataset
from penstock.model.documents import ids_on_lines
from penstock.model.outcomes import IndexOutcome, LoadOutcome
from penstock.model.rows import rows
from penstock.ports import ObjectStore, SearchIndex, Warehouse

_AT_ONCE = 1000
"""Documents deleted by one request."""


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
    index = dataset.index
    if index is None:
        return 0
    for replaced in load.replaced:
        search.delete_arrival(index.name, replaced)
    documents = indexed.documents
    if not load.rejects:
        return documents
    # The index takes some rows that the warehouse doesn't (a constraint, a number out of range). A reject has a line
    # and a document an ordinal, so the file is read once more; that is paid only by files with rejects.
    refused = frozenset(reject.line for reject in warehouse.rejects(dataset, arrival))
    refused -= {reject.line for reject in indexed.rejects}
    if not refused:
        return documents
    doomed: list[str] = []
    how = dataset.compression_of(arrival.key)
    with store.open(arrival) as stream:
        for doc in ids_on_lines(dataset, arrival, rows(decompressed(stream, how), dataset), refused):
            doomed.append(doc)
            if len(doomed) == _AT_ONCE:
                search.delete(index.name, doomed)
                documents, doomed = documents - len(doomed), []
    if doomed:
        search.delete(index.name, doomed)
    return max(0, documents - len(doomed))
