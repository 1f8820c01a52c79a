"""Documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from penstock.model.datasets import Dataset
from penstock.model.documents import Document
from penstock.model.outcomes import IndexOutcome


class SearchIndex(Protocol):
    def write(self, index: str, documents: Iterable[Document]) -> IndexOutcome:
        """Writes them in `_bulk` requests bounded by bytes, reading every item's own status.

        429 and 5xx items alone are sent again, with backoff; TransientError when they don't get through. A document
        that gives way to one of a greater version counts as written, as it does where that one comes after it. Any
        other failed item is a reject with the index's reason.
        """
        ...

    def delete_arrival(self, index: str, arrival: str, before: datetime | None = None) -> None:
        """Deletes the documents that carry `penstock_arrival` = arrival (and a `penstock_loaded_at` before that).

        What was deleted can be written again at once, with the version that it had.
        """
        ...

    def delete(self, index: str, ids: Sequence[str]) -> None:
        """Deletes those documents; one that is not there is no error."""
        ...

    def count(self, index: str, arrival: str | None = None) -> int:
        """How many documents the index holds (of that arrival), after a refresh."""
        ...

    def documents_by_arrival(self, index: str, after: str = "") -> Iterator[tuple[str, int]]:
        """Each arrival id beyond `after` that documents carry, once, with how many do.

        In the order of the ids; after a refresh, and a page at a time.
        """
        ...

    def search(self, index: str, text: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """The best first: `{"_id", "_score", "_source"}`."""
        ...

    def apply(self, dataset: Dataset) -> bool:
        """Creates or updates the dataset's index template and index; True if anything changed.

        Raises PermanentError where the index's mapping conflicts with the dataset.
        """
        ...
