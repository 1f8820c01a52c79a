"""A file that COPY refuses, or can't be given: its rows read one by one, the good ones written anew for COPY.

It costs several times what COPY does, and only files with something wrong or unusual in them pay it. Each row carries
its arrival, and each reject its line, column and reason, which MAXERROR could give for a whole COPY only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import Any

import orjson

from penstock.adapters.redshift.sql_text import MAX_TEXT, table_of
from penstock.adapters.redshift.upsert import PLACE
from penstock.model.arrivals import Arrival
from penstock.model.compression import decompressed
from penstock.model.datasets import Column, ColumnType, Dataset, Format
from penstock.model.errors import BadFileError
from penstock.model.judging import fault_of
from penstock.model.ledger_text import as_text
from penstock.model.outcomes import LoadOutcome, Reject, Verdict, too_many_rejects
from penstock.model.rows import Row, rows
from penstock.ports import ObjectStore

_TEXTS = (Format.CSV, Format.PARQUET)
"""Formats of whose rows each value is a text."""

KEPT = 1000
"""Rejects of a quarantined file that are kept."""

REJECT_COLUMNS = ("target", "arrival", "retry", "ordinal", "line", "column_name", "reason", "raw")


@dataclass(slots=True)
class FileReader:
    """One file. `strict` rejects what only the warehouse could judge too, so that COPY takes what is left."""

    arrival: Arrival
    dataset: Dataset
    store: ObjectStore
    strict: bool
    _total: int = 0
    _size: int = 0
    _bad: int = 0
    _first: Reject | None = None
    # It lives as long as its reader: closed when that is collected.
    _rejects: SpooledTemporaryFile[bytes] = field(default_factory=lambda: SpooledTemporaryFile(2**20))  # noqa: SIM115 - goes with it

    def read(self, to: str) -> LoadOutcome:
        """Writes its good rows to the key `to`; `rows` of the outcome is what was written there."""
        try:
            self.store.put_lines(to, self._good())
        except BadFileError as error:
            self._bad = 0
            return LoadOutcome(Verdict.QUARANTINED, reason=str(error))
        allowed = self.dataset.rejects_allowed(self._total)
        if self._bad > allowed and self._first:
            reason = too_many_rejects(self._bad, self._total, allowed, self._first)
            return LoadOutcome(Verdict.QUARANTINED, rejects=self._bad, reason=reason)
        return LoadOutcome(Verdict.LOADED, self._total - self._bad, self._bad)

    @property
    def size(self) -> int:
        """Bytes that were written."""
        return self._size

    def rejects(self, *, all_of_them: bool) -> Iterator[bytes]:
        """As rows of penstock.reject, in JSON, without newlines."""
        self._rejects.seek(0)
        for number in range(self._bad if all_of_them else min(self._bad, KEPT)):
            if not (line := self._rejects.readline()):
                raise BadFileError(f"reject {number} of {self.arrival.uri} was not kept")
            yield line.rstrip(b"\n")

    def _good(self) -> Iterator[bytes]:
        compression = self.dataset.compression_of(self.arrival.key)
        with self.store.open(self.arrival) as stream:
            for row in rows(decompressed(stream, compression, self.dataset.limits), self.dataset):
                self._total += 1
                if reject := self._judge(row):
                    self._keep(reject)
                    continue
                line = orjson.dumps(self._record(row))
                self._size += len(line) + 1
                yield line

    def _judge(self, row: Row) -> Reject | None:
        raw = row.raw[: Reject.MAX_RAW]
        if row.error:
            return Reject(row.line, "", row.error, raw)
        for column, value in zip(self.dataset.columns, row.values, strict=True):
            if isinstance(value, str) and "\0" in value:
                return Reject(
                    row.line, "", "it holds \\u0000, a character that Redshift's text can't; take it out", raw
                )
            as_value = column.type is ColumnType.JSON and self.dataset.format not in _TEXTS
            fault = None if as_value and value is not None else fault_of(column, value, self.dataset.date_order)
            if fault and (fault.certain or self.strict):
                return Reject(row.line, column.name, fault.reason, raw)
            if isinstance(value, str) and len(value) * 4 > MAX_TEXT < len(value.encode()):
                return Reject(row.line, column.name, f"value too long: Redshift's text has {MAX_TEXT} bytes", raw)
        return None

    def _keep(self, reject: Reject) -> None:
        values = (
            *(table_of(self.dataset).qualified, self.arrival.id, self.arrival.retry, self._total, reject.line),
            *(reject.column, reject.reason, as_text(reject.raw)),
        )
        self._rejects.write(orjson.dumps(dict(zip(REJECT_COLUMNS, values, strict=True))) + b"\n")
        self._first = self._first or reject
        self._bad += 1

    def _record(self, row: Row) -> dict[str, str | None]:
        exact: dict[str, Any] = {}
        if self.dataset.format not in _TEXTS and any(isinstance(value, int | float) for value in row.values):
            exact = json.loads(row.raw, parse_float=str, parse_int=str)
        record: dict[str, str | None] = {}
        for column, value in zip(self.dataset.columns, row.values, strict=True):
            if value is None or (isinstance(value, str) and self.dataset.format in _TEXTS):
                record[column.name] = value
            else:
                record[column.name] = _as_text(column, value, exact.get(column.in_file))
        place = {PLACE: str(self._total)} if self.dataset.row_key else {}
        return {**record, **place, "penstock_arrival": self.arrival.id}


def _as_text(column: Column, value: Any, exact: Any) -> str:
    """A number stays as it is written: `1.10` is a text of four characters, and a numeric of any length is kept."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if column.type is ColumnType.JSON else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return exact if isinstance(exact, str) else json.dumps(value, ensure_ascii=False)
