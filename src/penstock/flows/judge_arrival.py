"""Does what is known of one arrival agree? Pure: `reconcile` gathers it, from S3, ledger, table and index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from penstock.flows.set_aside import REJECTS
from penstock.model.arrivals import FAILED, INCOMING, PROCESSED, UNCLAIMED
from penstock.model.datasets import Dataset
from penstock.model.outcomes import LedgerEntry, Verdict
from penstock.model.reconciliation import Disagreement, Kind

MOST_TOLD = 1_000
"""Rows that the index refused and that a rejects file tells at most: beyond it they can't be counted."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file of it: `root` is `incoming/`, `processed/` or `failed/`."""

    root: str
    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Kept:
    """Days until settled files expire; 0 is never."""

    processed: int = 0
    failed: int = 0

    def expired(self, root: str, decided: datetime, now: datetime) -> bool:
        days = self.processed if root == PROCESSED else self.failed
        return bool(days) and decided + timedelta(days=days) <= now


@dataclass(slots=True)
class Seen:
    """What was found of an arrival. `companions` are keys of what is written beside a file that failed or lost rows."""

    arrival: str
    dataset: str = ""
    places: list[Place] = field(default_factory=list)
    companions: list[str] = field(default_factory=list)
    ledger: LedgerEntry | None = None
    rows: int = 0
    documents: int = 0

    @property
    def place(self) -> str:
        """Its root where it lies in one place, else nothing."""
        return self.places[0].root if len(self.places) == 1 else ""

    @property
    def key(self) -> str:
        """The key it arrived under where that is known, else one of where it lies."""
        if self.ledger:
            return self.ledger.key
        return next(iter([*(place.key for place in self.places), *self.companions]), "")

    @property
    def rejects(self) -> str:
        """The key of its rejects file; empty where there is none."""
        return next((key for key in self.companions if key.endswith(REJECTS)), "")

    @property
    def expected_rows(self) -> int:
        entry = self.ledger
        return entry.rows if entry and entry.verdict is Verdict.LOADED and not entry.replaced_by else 0


@dataclass(frozen=True, slots=True)
class _Found:
    """As in a Disagreement."""

    kind: Kind
    what: str
    todo: str


@dataclass(frozen=True, slots=True)
class Judge:
    """`waiting` are the arrivals that were put back; `rejected` counts the index's rejects in a rejects file."""

    now: datetime
    kept: Kept
    waiting: frozenset[str]
    rejected: Callable[[str], int]

    def disagreements(self, seen: Seen, dataset: Dataset | None) -> list[Disagreement]:
        """`dataset` as the stack can check it; None for files that no dataset claims."""
        return [
            Disagreement(seen.dataset, seen.arrival, seen.key, found.kind, found.what, found.todo)
            for found in self._found(seen, dataset)
        ]

    def _found(self, seen: Seen, dataset: Dataset | None) -> Iterator[_Found]:
        if len(seen.places) > 1:
            yield self._two_places(seen)
        if dataset is not None and dataset.table is not None:
            yield from self._by_ledger(seen, dataset, seen.ledger)
        if dataset is not None and dataset.index is not None:
            yield from self._documents(seen, dataset)
        if seen.companions and not seen.places and seen.ledger is None:
            yield _Found(
                Kind.ORPHAN_REJECTS,
                f"{seen.companions[0]} tells of a file that is neither in S3 nor in the load ledger.",
                "Someone deleted the file. Its rejects are the last trace of it: ask who, then delete them too.",
            )

    def _two_places(self, seen: Seen) -> _Found:
        where = " and in ".join(place.key for place in seen.places)
        if any(place.root == INCOMING for place in seen.places):
            todo = (
                "A move stopped half way: the next listing ends it. Named again after that: `penstock runs` says why."
            )
        elif seen.ledger:
            right = PROCESSED if seen.ledger.verdict is not Verdict.QUARANTINED else FAILED
            todo = (
                f"Someone copied it. The ledger says {seen.ledger.verdict}, so it belongs below {right}, once: "
                "delete the copy. A replay would read it twice."
            )
        else:
            todo = "Someone copied it: delete the copy. A replay would read it twice."
        return _Found(Kind.TWO_PLACES, f"It lies in {where}.", todo)

    def _by_ledger(self, seen: Seen, dataset: Dataset, entry: LedgerEntry | None) -> Iterator[_Found]:
        table = dataset.table.qualified if dataset.table else ""
        rebuild = f"Rebuild the table from processed/: penstock replay --dataset {dataset.name}."
        look = f"SELECT * FROM {table} WHERE penstock_arrival = '{seen.arrival}'"  # noqa: S608 - for a person to run
        if entry is None:
            if seen.rows:
                yield _Found(
                    Kind.UNKNOWN_ROWS,
                    f"{seen.rows:,} rows of {table} carry an arrival that the load ledger does not know.",
                    f'Someone wrote rows, or deleted the ledger\'s. Look at them: penstock query "{look}". {rebuild}',
                )
            if seen.place in (PROCESSED, FAILED) and seen.dataset != UNCLAIMED:
                yield _Found(
                    Kind.NO_LEDGER_ROW,
                    f"It lies in {seen.place}, and the load ledger has no row of it.",
                    f"Copied there by hand, and never loaded? Move it below {INCOMING}{dataset.prefix}. Else the "
                    f"ledger has lost rows: do not put the file again, that would double its rows. {rebuild}",
                )
            return
        # Of merged rows others may have taken the place since.
        wrong = seen.rows > seen.expected_rows if dataset.upsert else seen.rows != seen.expected_rows
        if wrong:
            yield self._rows(seen, entry, table, rebuild)
        yield from self._place(seen, entry)
        settled = seen.place in (PROCESSED, FAILED)
        if entry.rejects and settled and not seen.rejects and not self.kept.expired(FAILED, entry.decided, self.now):
            yield _Found(
                Kind.REJECTS_MISSING,
                f"{entry.rejects:,} of its rows were rejected, and no {REJECTS} below {FAILED} tells which.",
                f"The warehouse still has them, in penstock.reject: ask for those WHERE arrival = '{seen.arrival}'.",
            )

    def _rows(self, seen: Seen, entry: LedgerEntry, table: str, rebuild: str) -> _Found:
        if seen.expected_rows:
            return _Found(
                Kind.ROWS,
                f"The ledger says {entry.rows:,} rows, and {table} has {seen.rows:,} of them.",
                f"Someone changed the table. Putting the file again adds nothing (it is known). {rebuild}",
            )
        why = f"replaced by {entry.replaced_by}" if entry.replaced_by else str(entry.verdict)
        return _Found(
            Kind.ROWS_NOT_LOADED,
            f"The ledger says {why}, and {seen.rows:,} rows of it are in {table}.",
            f"Someone wrote or restored them. Ask who, then delete those WHERE penstock_arrival = '{seen.arrival}'.",
        )

    def _place(self, seen: Seen, entry: LedgerEntry) -> Iterator[_Found]:
        loaded = entry.verdict is not Verdict.QUARANTINED
        if not seen.places and not self.kept.expired(PROCESSED if loaded else FAILED, entry.decided, self.now):
            yield _Found(
                Kind.NOWHERE,
                f"The ledger says {entry.verdict}, and the file is in none of {INCOMING}, {PROCESSED} and {FAILED}.",
                "Someone deleted it; its rows stay. A delete can be undone for a week: aws s3api list-object-versions, "
                f"and look for {seen.arrival}.",
            )
        elif seen.place == INCOMING and seen.arrival not in self.waiting:
            yield _Found(
                Kind.NOT_SETTLED,
                f"The ledger says {entry.verdict}, and it still lies in {INCOMING}, though no run is at work on it.",
                "The next listing plans it again, loads nothing of it, and moves it. Named again after that: `penstock "
                "runs` says why runs end before they settle.",
            )
        elif seen.place == FAILED and loaded:
            what = f"{entry.rows:,} rows of it ARE loaded" if seen.expected_rows else f"the ledger says {entry.verdict}"
            yield _Found(
                Kind.WRONG_PLACE,
                f"It lies in {FAILED}, and {what}.",
                "Its documents could not be completed: its .reason.json says why. Mend that, then: penstock retry KEY.",
            )
        elif seen.place == PROCESSED and not loaded:
            yield _Found(
                Kind.WRONG_PLACE,
                f"It lies in {PROCESSED}, and the ledger says {entry.verdict}: no row of it is in the table.",
                "Someone moved it, or changed the ledger. A replay would load it. Move it back below failed/.",
            )
        if seen.place in (PROCESSED, FAILED) and seen.places[0].size != entry.size:
            yield _Found(
                Kind.CHANGED,
                f"{entry.size:,} bytes arrived, and {seen.places[0].key} has {seen.places[0].size:,}.",
                "Someone overwrote it. The bytes that were loaded are its version before: restore that one.",
            )

    def _documents(self, seen: Seen, dataset: Dataset) -> Iterator[_Found]:
        assert dataset.index is not None  # noqa: S101 - `_found` has looked
        name, by_key = dataset.index.name, bool(dataset.index.id_columns)
        known = bool(seen.ledger) if dataset.table else bool(seen.places) or bool(self.kept.processed)
        if not known:
            if seen.documents:
                yield _Found(
                    Kind.UNKNOWN_DOCUMENTS,
                    f"{seen.documents:,} documents of index {name} carry an arrival that nothing else knows.",
                    "A backup restored, or written by hand? Ask who, then delete them by query: "
                    f"penstock_arrival = {seen.arrival}.",
                )
            return
        if seen.place == INCOMING or len(seen.places) > 1:
            return  # Settling it makes its documents converge.
        if not dataset.table:
            if seen.place == FAILED and seen.documents:
                yield self._not_loaded(seen, name, "it failed")
            return
        entry = seen.ledger
        if entry is None:
            return
        if not seen.expected_rows:
            # By key, a duplicate's documents took the place of equal ones: they are the table's rows.
            if seen.documents and not (by_key and entry.verdict is Verdict.DUPLICATE):
                why = f"it was replaced by {entry.replaced_by}" if entry.replaced_by else f"it is {entry.verdict}"
                yield self._not_loaded(seen, name, why)
            return
        if seen.place == FAILED:
            return  # Loaded without all its documents, which `_place` says.
        missing = seen.expected_rows - seen.documents
        if missing < 0 or (missing and not by_key and not self._is_refused(seen, missing)):
            yield _Found(
                Kind.DOCUMENTS,
                f"{seen.expected_rows:,} rows of it are loaded, and index {name} has {seen.documents:,} documents.",
                f"Someone changed the index. The rows are right: penstock replay -d {dataset.name} --documents.",
            )

    def _is_refused(self, seen: Seen, missing: int) -> bool:
        """Whether the index refused as many rows as it lacks, and said so."""
        refused = self.rejected(seen.rejects) if seen.rejects else 0
        return missing == refused or missing > refused >= MOST_TOLD

    def _not_loaded(self, seen: Seen, index: str, why: str) -> _Found:
        return _Found(
            Kind.DOCUMENTS,
            f"{seen.documents:,} documents of it are in index {index}, though {why}.",
            f"Delete them by penstock_arrival = {seen.arrival}: no row of the table stands behind them.",
        )
