"""Take the documents of rejected rows out of the index again, where the index took what the warehouse did not."""

from __future__ import annotations

from penstock.model.arrivals import Arrival
from penstock.model.compression import decompressed
from penstock.model.datasets import Dataset
from penstock.model.documents import ids_on_lines
from penstock.model.rows import rows
from penstock.ports import ObjectStore, SearchIndex


def withdraw_rows(
    arrival: Arrival, dataset: Dataset, lines: frozenset[int], store: ObjectStore, search: SearchIndex
) -> None:
    """Deletes the documents of the rows that begin on those lines of the arrival's file.

    Only where a document's id is its arrival's and its row's: by key it could be another row's. Reads the file once
    more; done twice it changes nothing. Raises BadFileError as `rows` does.
    """
    if dataset.index is None or dataset.index.id_columns or not lines:
        return
    compression = dataset.compression_of(arrival.key)
    with store.open(arrival) as stream:
        found = rows(decompressed(stream, compression, dataset.limits), dataset)
        doomed = frozenset(ids_on_lines(dataset, arrival, found, lines))
    search.delete(dataset.index.name, sorted(doomed))
