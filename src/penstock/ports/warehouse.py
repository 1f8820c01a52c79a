"""Rows, the load ledger that commits with them, and a second table to rebuild them into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.outcomes import LedgerEntry, LoadOutcome, Reject
from penstock.model.plans import Batch
from penstock.model.replays import Comparison, Known
from penstock.ports.store import ObjectStore


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """`handle` is set while the load goes on: what `poll` asks for. PostgreSQL has always finished."""

    running: bool = False
    handle: str = ""


@dataclass(frozen=True, slots=True)
class MergedRow:
    """A row of a table with a `row_key`. `values` are of the dataset's columns, as the warehouse writes them, equal
    keys alike. `version` grows whenever a row takes the place of another of its key.
    """

    values: tuple[str | None, ...]
    version: int


class Warehouse(Protocol):
    """Rows, and the load ledger that commits with them."""

    def begin(self, batch: Batch, dataset: Dataset, store: ObjectStore) -> LoadProgress:
        """Loads what the ledger has not decided: ledger rows first, then the rows, in one transaction.

        Each file is under its own savepoint; one that can't be loaded becomes a ledger row `quarantined`. Content that
        was loaded under the same key before becomes `duplicate`. Repeating it finds the ledger rows and does nothing.

        An arrival's `retry` says which quarantines still bind: one of a lesser number goes to the ledger's history, in
        the transaction that decides anew. Rows never take the place of those of a later version of their key.
        """
        ...

    def poll(self, batch: Batch, dataset: Dataset, handle: str) -> LoadProgress: ...

    def outcomes(self, dataset: Dataset, arrivals: Sequence[Arrival]) -> Mapping[str, LoadOutcome]:
        """What the ledger says, by arrival id. An arrival that is not there is undecided: also one whose quarantine is
        of a lesser `retry` than its own.
        """
        ...

    def duplicates(self, dataset: Dataset, arrivals: Sequence[Arrival]) -> frozenset[str]:
        """Ids of those whose content is loaded under their key by another arrival: `begin` adds nothing for them.

        It can be told before the load: versions of a key are worked one after the other.
        """
        ...

    def quarantine(self, dataset: Dataset, arrivals: Sequence[Arrival], reason: str) -> None:
        """A ledger row `quarantined` for each that is undecided; what was decided stays as it was."""
        ...

    def rejects(self, dataset: Dataset, arrival: Arrival) -> Iterator[Reject]:
        """By line. They were written in the transaction of the load; a quarantined file's are cut at a thousand."""
        ...

    def merged_rows(self, dataset: Dataset, arrival: Arrival) -> Iterator[MergedRow]:
        """The rows of a table with a `row_key` that came from the arrival, and whose place no other has taken, a page
        at a time: each as it stands when its page is read.
        """
        ...

    def ledger(self, dataset: Dataset, after: str = "") -> Iterator[LedgerEntry]:
        """Every row of the load ledger for the dataset's table whose arrival id is beyond `after`, in their order.

        A page at a time.
        """
        ...

    def row_parts(self, dataset: Dataset, after: str = "") -> Iterator[str]:
        """The parts of its table, each of which is soon counted: those behind part `after`, also on another day.

        Together they hold each row once, of a table into which others only insert meanwhile.
        """
        ...

    def rows_by_arrival(self, dataset: Dataset, part: str = "") -> Iterator[tuple[str, int]]:
        """Each arrival id that rows of the part carry, once, with how many do; without one, of the whole table.

        In no order, and in constant memory. Rows of one arrival may be in several parts.
        """
        ...


class Rebuild(Protocol):
    """A second table beside a dataset's own: for the owner, and never for the role that loads.

    `live` is the dataset, `rebuilt` the same one with the other table.
    """

    def known(self, dataset: Dataset) -> Sequence[Known]:
        """What the load ledger of its table knows, in no order."""
        ...

    def prepare(self, rebuilt: Dataset) -> Sequence[str]:
        """Creates the table where it isn't there, as the dataset has it; what was done, in words.

        Raises PermanentError when a table is there that no replay has filled.
        """
        ...

    def compare(self, live: Dataset, rebuilt: Dataset) -> Comparison: ...

    def swap(self, live: Dataset, rebuilt: Dataset, now: datetime) -> str:
        """Puts the rebuilt table in the live one's place, ledger and rights included, in one transaction.

        The name under which the live one is kept. Raises PermanentError, and changes nothing, when the live ledger has
        decided an arrival that the rebuilt one has not.
        """
        ...

    def readers(self, live: Dataset) -> Sequence[str]:
        """Views that a swap leaves with the old table."""
        ...
