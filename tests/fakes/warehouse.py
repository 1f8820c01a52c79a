from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from penstock.model.arrivals import Arrival
from penstock.model.compression import decompressed
from penstock.model.datasets import ColumnType, Dataset, OnOverwrite
from penstock.model.errors import BadFileError, PenstockError
from penstock.model.outcomes import LedgerEntry, LoadOutcome, Reject, Verdict
from penstock.model.plans import Batch
from penstock.model.rows import Row, rows
from penstock.ports import LoadProgress, MergedRow, ObjectStore

_NUMBERS = {
    ColumnType.SMALLINT: int,
    ColumnType.INTEGER: int,
    ColumnType.BIGINT: int,
    ColumnType.NUMERIC: float,
    ColumnType.REAL: float,
    ColumnType.DOUBLE: float,
}

_PART = 2


@dataclass(slots=True)
class _Loaded:
    arrival: Arrival
    rows: list[tuple[Any, ...]]


@dataclass(slots=True)
class FakeWarehouse:
    """A table and its load ledger in memory, of which each `begin` is one transaction per file.

    Numbers and required columns are checked, other types are taken as they come. `fails` is raised by every call while
    it is set: the destination is down.
    """

    fails: PenstockError | None = None
    refused: Mapping[str, PenstockError] = field(default_factory=dict)
    """The same, by the datasets of which no file is taken."""
    _ledger: dict[tuple[str, str], LoadOutcome] = field(default_factory=dict)
    _tables: dict[str, list[_Loaded]] = field(default_factory=dict)
    _rejects: dict[tuple[str, str], list[Reject]] = field(default_factory=dict)
    _decided: dict[tuple[str, str], tuple[str, Arrival]] = field(default_factory=dict)
    """Dataset and arrival of each ledger row, which is decided when its arrival arrives: there is no clock here."""

    _merges: dict[tuple[str, tuple[Any, ...]], int] = field(default_factory=dict)
    """When the row of that table and key was written: the how manieth of all that were."""
    _written: int = 0
    _retries: dict[tuple[str, str], int] = field(default_factory=dict)
    """The `retry` that each ledger row was decided with."""
    history: list[tuple[str, LoadOutcome]] = field(default_factory=list)
    """Quarantines that a retry took the place of, by arrival id."""

    def rows(self, dataset: Dataset) -> list[tuple[Any, ...]]:
        """What a test looks at: the table's rows."""
        return [row for loaded in self._tables.get(_table(dataset), []) for row in loaded.rows]

    def begin(self, batch: Batch, dataset: Dataset, store: ObjectStore) -> LoadProgress:
        self._answer(dataset)
        for arrival in batch.arrivals:
            if self._claim(dataset, arrival):
                self._decided[_table(dataset), arrival.id] = dataset.name, arrival
                self._load(arrival, dataset, store)
        return LoadProgress()

    def poll(self, batch: Batch, dataset: Dataset, handle: str) -> LoadProgress:
        self._answer(dataset)
        return LoadProgress()

    def outcomes(self, dataset: Dataset, arrivals: Sequence[Arrival]) -> Mapping[str, LoadOutcome]:
        self._answer(dataset)
        known = {arrival.id: self._ledger.get((_table(dataset), arrival.id)) for arrival in arrivals}
        superseded = {arrival.id for arrival in arrivals if self._superseded(dataset, arrival)}
        there = {loaded.arrival.id for loaded in self._tables.get(_table(dataset), [])}
        return {
            arrival: replace(outcome, is_replaced=outcome.verdict is Verdict.LOADED and arrival not in there)
            for arrival, outcome in known.items()
            if outcome and arrival not in superseded
        }

    def duplicates(self, dataset: Dataset, arrivals: Sequence[Arrival]) -> frozenset[str]:
        self._answer(dataset)
        return frozenset(
            arrival.id
            for arrival in arrivals
            for loaded in self._tables.get(_table(dataset), [])
            if loaded.arrival.id != arrival.id
            and loaded.arrival.key == arrival.key
            and (loaded.arrival.etag, loaded.arrival.size) == (arrival.etag, arrival.size)
        )

    def quarantine(self, dataset: Dataset, arrivals: Sequence[Arrival], reason: str) -> None:
        self._answer(dataset)
        for arrival in arrivals:
            if self._claim(dataset, arrival):
                self._decided[_table(dataset), arrival.id] = dataset.name, arrival
                self._ledger[_table(dataset), arrival.id] = LoadOutcome(Verdict.QUARANTINED, reason=reason)

    def rejects(self, dataset: Dataset, arrival: Arrival) -> Iterator[Reject]:
        self._answer(dataset)
        yield from self._rejects.get((_table(dataset), arrival.id), [])

    def merged_rows(self, dataset: Dataset, arrival: Arrival) -> Iterator[MergedRow]:
        self._answer(dataset)
        key = _reader(dataset, dataset.row_key)
        there = [one for one in self._tables.get(_table(dataset), []) if one.arrival.id == arrival.id]
        rows = [row for loaded in there for row in loaded.rows]
        yield from [MergedRow(row, self._merges[_table(dataset), key(row)]) for row in rows]

    def ledger(self, dataset: Dataset, after: str = "") -> Iterator[LedgerEntry]:
        self._answer(dataset)
        mine = {key: outcome for key, outcome in self._ledger.items() if key[0] == _table(dataset)}
        replaced_by = {old: new for (_, new), outcome in mine.items() for old in outcome.replaced}
        for key, outcome in sorted(mine.items()):
            name, arrival = self._decided[key]
            if arrival.id <= after:
                continue
            yield LedgerEntry(
                arrival=arrival.id,
                dataset=name,
                key=arrival.key,
                version_id=arrival.version_id,
                size=arrival.size,
                verdict=outcome.verdict,
                rows=outcome.rows,
                rejects=outcome.rejects,
                replaced_by=replaced_by.get(arrival.id, ""),
                decided=arrival.modified,
                repeats=outcome.repeats,
            )

    def row_parts(self, dataset: Dataset, after: str = "") -> Iterator[str]:
        """Of two loads each, in the order in which they came."""
        self._answer(dataset)
        first = int(after) + _PART if after else 0
        yield from (str(place) for place in range(first, len(self._tables.get(_table(dataset), [])), _PART))

    def rows_by_arrival(self, dataset: Dataset, part: str = "") -> Iterator[tuple[str, int]]:
        self._answer(dataset)
        counts: Counter[str] = Counter()
        there = self._tables.get(_table(dataset), [])
        for loaded in there[int(part) : int(part) + _PART] if part else there:
            counts[loaded.arrival.id] += len(loaded.rows)
        yield from ((arrival, rows) for arrival, rows in counts.items() if rows)

    # ── what is done to it by hand ──────────────────────────────────────────────────────────────────────────────────

    def add_rows(self, dataset: Dataset, arrival: Arrival, rows: int = 1) -> None:
        """Rows that no load has written."""
        columns = len(dataset.columns)
        self._tables.setdefault(_table(dataset), []).append(_Loaded(arrival, [(None,) * columns] * rows))

    def lose_row(self, dataset: Dataset, arrival: Arrival) -> None:
        next(loaded for loaded in self._tables[_table(dataset)] if loaded.arrival.id == arrival.id).rows.pop()

    def forget(self, dataset: Dataset, arrival: Arrival) -> None:
        """Its ledger row is gone."""
        del self._ledger[_table(dataset), arrival.id]

    def _superseded(self, dataset: Dataset, arrival: Arrival) -> bool:
        """Its row is a quarantine of a lesser retry than the arrival's."""
        row = _table(dataset), arrival.id
        there = self._ledger.get(row)
        return there is not None and there.verdict is Verdict.QUARANTINED and self._retries.get(row, 0) < arrival.retry

    def _claim(self, dataset: Dataset, arrival: Arrival) -> bool:
        row = _table(dataset), arrival.id
        if self._superseded(dataset, arrival):
            self.history.append((arrival.id, self._ledger.pop(row)))
            self._rejects.pop(row, None)
        if row in self._ledger:
            return False
        self._retries[row] = arrival.retry
        return True

    def _answer(self, dataset: Dataset) -> None:
        if error := self.fails or self.refused.get(dataset.name):
            raise error

    def _load(self, arrival: Arrival, dataset: Dataset, store: ObjectStore) -> None:
        table = _table(dataset)
        there = [loaded for loaded in self._tables.get(table, []) if loaded.arrival.key == arrival.key]
        if any((one.arrival.etag, one.arrival.size) == (arrival.etag, arrival.size) for one in there):
            self._ledger[table, arrival.id] = LoadOutcome(Verdict.DUPLICATE)
            return
        if there and dataset.on_overwrite is OnOverwrite.REFUSE:
            self._ledger[table, arrival.id] = LoadOutcome(Verdict.QUARANTINED, reason="the key was loaded before")
            return
        later = any(one.arrival.modified >= arrival.modified for one in there)
        if arrival.retry and later and dataset.on_overwrite is OnOverwrite.REPLACE:
            self._ledger[table, arrival.id] = LoadOutcome(Verdict.QUARANTINED, reason="a later version is loaded")
            return
        try:
            with store.open(arrival) as stream:
                found = list(rows(decompressed(stream, dataset.compression_of(arrival.key), dataset.limits), dataset))
        except BadFileError as error:
            self._ledger[table, arrival.id] = LoadOutcome(Verdict.QUARANTINED, reason=str(error))
            return
        rejects = [reject for row in found if (reject := _judge(row, dataset))]
        self._rejects[table, arrival.id] = rejects
        if len(rejects) > dataset.max_reject_ratio * len(found):
            reason = f"{len(rejects)} of {len(found)} rows were rejected"
            self._ledger[table, arrival.id] = LoadOutcome(Verdict.QUARANTINED, rejects=len(rejects), reason=reason)
            return
        replaced = there if dataset.on_overwrite is OnOverwrite.REPLACE else []
        bad = {reject.line for reject in rejects}
        kept = [loaded for loaded in self._tables.get(table, []) if loaded not in replaced]
        good = [row.values for row in found if row.line not in bad]
        loaded = _Loaded(arrival, [] if dataset.row_key else good)
        self._tables[table] = [*kept, loaded]
        repeats = self._merge(dataset, loaded, good) if dataset.row_key else 0
        self._ledger[table, arrival.id] = LoadOutcome(
            Verdict.LOADED,
            len(good) - repeats,
            len(rejects),
            replaced=tuple(loaded.arrival.id for loaded in replaced),
            repeats=repeats,
        )

    def _merge(self, dataset: Dataset, into: _Loaded, rows: list[tuple[Any, ...]]) -> int:
        """How many repeats there were, of events."""
        key = _reader(dataset, dataset.row_key)
        order = _reader(dataset, (dataset.upsert.order_by,) if dataset.upsert else ())
        repeats = 0
        tables = self._tables[_table(dataset)]
        for row in rows:
            there = next(((one, old) for one in tables for old in one.rows if key(old) == key(row)), None)
            if there:
                one, old = there
                if dataset.event_id:
                    repeats += 1
                    continue
                rank = (order(old), one.arrival.modified, one.arrival.id)
                if rank > (order(row), into.arrival.modified, into.arrival.id):
                    continue
                one.rows.remove(old)
            into.rows.append(row)
            self._written += 1
            self._merges[_table(dataset), key(row)] = self._written
        return repeats


def _reader(dataset: Dataset, names: Sequence[str]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    places = {column.name: (place, _NUMBERS.get(column.type, str)) for place, column in enumerate(dataset.columns)}
    wanted = [places[name] for name in names]
    return lambda row: tuple(read(row[place]) for place, read in wanted)


def _table(dataset: Dataset) -> str:
    return dataset.table.qualified if dataset.table else ""


def _judge(row: Row, dataset: Dataset) -> Reject | None:
    if row.error:
        return Reject(row.line, "", row.error, row.raw)
    for column, value in zip(dataset.columns, row.values, strict=True):
        if value is None and column.required:
            return Reject(row.line, column.name, "null value", row.raw)
        convert = _NUMBERS.get(column.type)
        if convert and value is not None:
            try:
                convert(value)
            except ValueError:
                return Reject(row.line, column.name, f"no {column.type.value}", row.raw)
    return None
