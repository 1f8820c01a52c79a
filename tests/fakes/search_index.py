from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from penstock.model.datasets import Dataset
from penstock.model.documents import rejected
from penstock.model.errors import PenstockError
from penstock.model.outcomes import IndexOutcome
from penstock.ports import Document


@dataclass(slots=True)
class FakeSearchIndex:
    """Documents in memory. `refuses` gives the reason for which one is rejected, or nothing.

    `fails` is raised by every call while it is set: the destination is down.
    """

    refuses: Callable[[dict[str, Any]], str] = lambda _: ""
    fails: PenstockError | None = None
    documents: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """By index and id."""
    versions: dict[tuple[str, str], int] = field(default_factory=dict)
    """By index and id. A deleted document's is forgotten at once, as an index does after a while."""

    def write(self, index: str, documents: Iterable[Document]) -> IndexOutcome:
        self._answer()
        written, rejects = 0, []
        for document in documents:
            source = json.loads(document.source)
            if reason := self.refuses(source):
                rejects.append(rejected(document, reason))
                continue
            written += 1
            there = self.documents.setdefault(index, {})
            before = self.versions.get((index, document.id), 0) if document.id in there else 0
            if document.version and document.version < before:
                continue
            there[document.id] = source
            self.versions[index, document.id] = document.version or before + 1
        return IndexOutcome(documents=written, rejects=tuple(rejects[:1000]), rejected=len(rejects))

    def delete_arrival(self, index: str, arrival: str, before: datetime | None = None) -> None:
        self._answer()
        for id_, doc in list(self.documents.get(index, {}).items()):
            mine = doc["penstock_arrival"] == arrival
            if mine and (before is None or datetime.fromisoformat(doc["penstock_loaded_at"]) < before):
                del self.documents[index][id_]

    def delete(self, index: str, ids: Sequence[str]) -> None:
        self._answer()
        for id_ in ids:
            self.documents.get(index, {}).pop(id_, None)

    def count(self, index: str, arrival: str | None = None) -> int:
        self._answer()
        there = self.documents.get(index, {}).values()
        return sum(arrival is None or document.get("penstock_arrival") == arrival for document in there)

    def documents_by_arrival(self, index: str, after: str = "") -> Iterator[tuple[str, int]]:
        self._answer()
        counts = Counter(one["penstock_arrival"] for one in self.documents.get(index, {}).values())
        yield from ((arrival, number) for arrival, number in sorted(counts.items()) if arrival > after)

    def search(self, index: str, text: str, limit: int) -> Sequence[Mapping[str, Any]]:
        self._answer()
        words = text.lower().split()
        hits = [
            {"_id": id_, "_score": 1.0, "_source": document}
            for id_, document in self.documents.get(index, {}).items()
            if not words or any(word in str(value).lower() for word in words for value in document.values())
        ]
        return hits[:limit]

    def apply(self, dataset: Dataset) -> bool:
        self._answer()
        if dataset.index is None or dataset.index.name in self.documents:
            return False
        self.documents[dataset.index.name] = {}
        return True

    def _answer(self) -> None:
        if self.fails:
            raise self.fails
