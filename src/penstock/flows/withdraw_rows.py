"""Take the documents of rejected rows out of the index again, where the index took what the warehouse did not."""

from __future__ import annotations

from penstock.model.arrivals import Arrival
from penstock.model.compression import decompressed
from penstock.model.datasets import Dataset, Format
from penstock.model.documents import ids_on_lines
from penstock.model.rows import Row, rows
from penstock.ports import ObjectStore, SearchIndex


def withdraw_rows(
    arrival: Arrival, dataset: Dataset, lines: frozenset[int], store: ObjectStore, search: SearchIndex
) -> None:
    """Deletes the documents of the rows that begin on those lines of the arrival's file.

    Only where a document's id is its arrival's and its row's: by key it could be another row's. Reads the file once
    more, unless its rows are numbered; done twice it changes nothing. Raises BadFileError as `rows` does.
    """
    if dataset.index is None or dataset.index.id_columns or not lines:
        return
    if dataset.format is Format.PARQUET:  # A row's line is its number, and nothing here could read the file.
        every = (Row(number, "", ()) for number in range(1, max(lines) + 1))
        search.delete(dataset.index.name, sorted(ids_on_lines(dataset, arrival, every, lines)))
        return
    compression = dataset.compression_of(arrival.key)
    with store.open(arrival) as stream:
        found = rows(decompressed(stream, compression, dataset.limits), dataset)
        doomed = frozenset(ids_on_lines(dataset, arrival, found, lines))
    search.delete(dataset.index.name, sorted(doomed))
