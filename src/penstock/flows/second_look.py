"""What of a reconcile is looked at once more before it is told.

It reads for seconds or for hours, and not everything that writes meanwhile is a run: a replay puts another table in a
table's place, somebody mends rows or documents. So ledger, rows and documents of what seems to disagree in them are
read again, in a small part of that time, and what they say then is told. What S3 said is taken as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter

from penstock.flows.sort_on_disk import Fact
from penstock.model.datasets import Dataset
from penstock.model.reconciliation import Disagreement, Kind, Reconciliation

_DOUBTFUL = {
    Kind.NO_LEDGER_ROW,
    Kind.ROWS,
    Kind.UNKNOWN_ROWS,
    Kind.ROWS_NOT_LOADED,
    Kind.DOCUMENTS,
    Kind.UNKNOWN_DOCUMENTS,
}
_OF_S3 = {"place", "companion"}


@dataclass(slots=True)
class Doubts:
    """The first ten thousand arrivals that seem to disagree in ledger, rows or documents: whose they are, and what S3
    said of them. `beyond` counts more than these, by dataset. Both are JSON.
    """

    of: dict[str, tuple[str, list[Fact]]] = field(default_factory=dict)
    beyond: dict[str, int] = field(default_factory=dict)

    def add(self, found: Sequence[Disagreement], facts: Iterable[Fact]) -> None:
        """All that was found of one arrival, and all that was read of it."""
        if not any(one.kind in _DOUBTFUL for one in found):
            return
        dataset, arrival = found[0].dataset, found[0].arrival
        if len(self.of) < Reconciliation.MOST:
            self.of[arrival] = dataset, [fact for fact in facts if fact[1] in _OF_S3]
        else:
            self.beyond[dataset] = self.beyond.get(dataset, 0) + 1

    def in_s3(self) -> Iterator[Fact]:
        return chain.from_iterable(facts for _, facts in self.of.values())

    def has(self, fact: Fact) -> bool:
        return fact[0] in self.of

    def among(self, datasets: Mapping[str, Dataset]) -> dict[str, Dataset]:
        """The datasets whose arrivals they are."""
        names = {name for name, _ in self.of.values()}
        return {name: one for name, one in datasets.items() if name in names}

    def settle(self, report: Reconciliation, again: Reconciliation) -> None:
        """What `again` says of them takes the place of what the report said.

        What is beyond them stands as it was seen once, unless of the dataset's none was confirmed.
        """
        for name, looked in Counter(name for name, _ in self.of.values()).items():
            confirmed = again.of(name).disagreements
            passed = looked - confirmed if confirmed else looked + self.beyond.get(name, 0)
            report.of(name).disagreements -= passed
        stand = [one for one in report.disagreements if one.arrival not in self.of]
        told = sorted([*stand, *again.disagreements], key=attrgetter("arrival"))
        report.disagreements = told[: report.MOST]
