"""Take the documents of rejected rows out of the index again, where the index took what the warehouse did not."""

from __future__ import annotations

from penstock.model.arrivals import Arrival
from penstock.model.compression import decompressed
from penstock.model.datasets import Dataset
from penstock.model.documents import Document, document_maker, ids_on_lines
from penstock.model.rows import rows
from penstock.ports import Clock, ObjectStore, SearchIndex


def withdraw_rows(
    arrival: Arrival, dataset: Dataset, lines: frozenset[int], store: ObjectStore, search: SearchIndex, clock: Clock
) -> None:
    """Deletes the documents of the rows that begin on those lines of the arrival's file.

    Where a key makes the id, another row of the file can have the same one: its document is written again. Reads the
    file once more, or twice with a key; done twice it changes nothing. Raises BadFileError as `rows` does.
    """
    if dataset.index is None or not lines:
        return
    compression = dataset.compression_of(arrival.key)
    with store.open(arrival) as stream:
        doomed = frozenset(ids_on_lines(dataset, arrival, rows(decompressed(stream, compression), dataset), lines))
    search.delete(dataset.index.name, sorted(doomed))
    if not dataset.index.id_columns:
        return
    make = document_maker(dataset, arrival, clock.now())
    with store.open(arrival) as stream:
        kept = (
            made
            for ordinal, row in enumerate(rows(decompressed(stream, compression), dataset))
            if row.line not in lines and isinstance(made := make(ordinal, row), Document) and made.id in doomed
        )
        search.write(dataset.index.name, kept)
