"""What would happen to a file, from the file and its dataset alone: no cloud, no engine, nothing written.

The file is read by the very reader that the search branch and the warehouse's slow path use. Values are judged in
Python (`model.judging`), which comes close to the database and is not it: what only that can say is counted apart.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from penstock.model.arrivals import FAILED, INCOMING, MAX_KEY_BYTES, PROCESSED, Arrival, settled_key
from penstock.model.compression import decompressed
from penstock.model.datasets import Column, Dataset, Format
from penstock.model.documents import Document, document_maker
from penstock.model.errors import BadFileError, PermanentError
from penstock.model.inference import infer_columns, infer_parquet
from penstock.model.judging import fault_of
from penstock.model.outcomes import Reject
from penstock.model.rows import Row, dialect_of, header_columns, rows
from penstock.model.streams import ByteStream

KEPT = 100
"""Rejects that are kept of a file; all are counted."""
SAMPLE = 2**20
ARRIVAL_ID = "<arrival id>"

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"PK\x03\x04": "zip", b"PAR1": "Parquet"}
_BOMS = {b"\xef\xbb\xbf": "UTF-8 with a BOM", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(slots=True)
class ColumnSeen:
    """A column of the dataset and what the file holds of it. `inferred` is empty where the sample can't tell."""

    column: Column
    inferred: str = ""
    nulls: int = 0
    rejects: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.column.name,
            "in_file": self.column.in_file,
            "type": str(self.column.type),
            "required": self.column.required,
            "inferred": self.inferred or None,
            "nulls": self.nulls,
            "rejects": self.rejects,
        }


@dataclass(slots=True)
class Explanation:
    """`fault` is why the file would be refused whole, before any row is judged; empty where it can be read.

    `doubts` are rows that hold a value of which only the database can say whether it is one; `order` is the dataset's
    columns as the file has them. Sizes are in bytes.
    """

    dataset: Dataset
    key: str
    processed: str
    failed: str
    size: int
    compression: str
    encoding: str = ""
    line_ends: str = ""
    notes: list[str] = field(default_factory=list)
    order: tuple[Column, ...] = ()
    columns: list[ColumnSeen] = field(default_factory=list)
    rows: int = 0
    rejected: int = 0
    doubts: int = 0
    first_doubt: Reject | None = None
    rejects: list[Reject] = field(default_factory=list)
    document: str = ""
    fault: str = ""

    @property
    def allowed(self) -> int:
        """Rejects within the dataset's tolerance, counted as the warehouse counts."""
        return int(Decimal(str(self.dataset.max_reject_ratio)) * self.rows)

    @property
    def loads(self) -> bool:
        return not self.fault and self.rejected <= self.allowed

    @property
    def reason(self) -> str:
        """Why it would be quarantined; empty when it would be loaded."""
        if self.fault or self.loads:
            return self.fault
        share = f", {self.dataset.max_reject_ratio:.1%} of them" if self.dataset.max_reject_ratio else ""
        return (
            f"{self.rejected} of {self.rows} rows are rejected, and dataset {self.dataset.name} allows "
            f"{self.allowed or 'none'}{share}"
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "dataset": self.dataset.name,
            "loads": self.loads,
            "reason": self.reason or None,
            "key": self.key,
            "processed_key": self.processed,
            "failed_key": self.failed,
            "bytes": self.size,
            "format": str(self.dataset.format),
            "compression": self.compression,
            "encoding": self.encoding,
            "line_ends": self.line_ends,
            "notes": self.notes,
            "columns": [one.to_json() for one in self.columns],
            "rows": self.rows,
            "rejected": self.rejected,
            "allowed": self.allowed,
            "left_to_the_database": self.doubts,
            "rejects": [reject.to_json() for reject in self.rejects],
            "document": self.document or None,
        }


def explain_file(path: Path, dataset: Dataset) -> Explanation:
    """Reads the file once, and a MiB of it before. Raises PermanentError when there is no such file."""
    if not path.is_file():
        raise PermanentError(f"{path}: there is no such file")
    size = path.stat().st_size
    arrival = Arrival("<bucket>", f"{INCOMING}{dataset.prefix}{path.name}", "<version>", size, "<etag>", _NEVER)
    processed, failed = (
        settled_key(root, dataset.name, dataset.prefix, arrival).replace(arrival.id, ARRIVAL_ID)
        for root in (PROCESSED, FAILED)
    )
    told = Explanation(dataset, arrival.key, processed, failed, size, str(dataset.compression_of(arrival.key)))
    told.columns = [ColumnSeen(column) for column in dataset.columns]
    told.order = dataset.columns
    if len(arrival.key.encode()) > MAX_KEY_BYTES:
        told.notes.append(f"its key is longer than the {MAX_KEY_BYTES} bytes that S3 takes: it can't be put")
    try:
        with _opened(path, dataset) as stream:
            sample = b"" if dataset.format is Format.PARQUET else _sample(stream)
        _look(path, sample, told)
        with _opened(path, dataset) as stream:
            _read(rows(stream, dataset), arrival, told)
    except BadFileError as error:
        told.fault = str(error)
    return told


_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@contextmanager
def _opened(path: Path, dataset: Dataset) -> Iterator[ByteStream]:
    with path.open("rb") as file:
        yield decompressed(file, dataset.compression_of(path.name), dataset.limits)


def _sample(stream: ByteStream) -> bytes:
    held = b""
    while len(held) < SAMPLE and (more := stream.read(SAMPLE - len(held))):
        held += more
    return held


# ── what it looks like ──────────────────────────────────────────────────────────────────────────────────────────────


def _look(path: Path, sample: bytes, told: Explanation) -> None:
    dataset = told.dataset
    if dataset.format is Format.PARQUET:
        _look_at_schema(path, told)
        return
    with path.open("rb") as file:
        head = file.read(4)
    kind = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")
    if kind and kind != dataset.compression_of(path.name):
        told.notes.append(f"its first bytes are those of {kind}, and it is read as {told.compression or 'plain'} text")
    declared = dataset.csv.encoding if dataset.format is Format.CSV else "utf-8"
    told.encoding = next((name for bom, name in _BOMS.items() if sample.startswith(bom)), declared)
    crlf, lf, cr = sample.count(b"\r\n"), sample.count(b"\n"), sample.count(b"\r")
    ends = {"CRLF": crlf, "LF": lf - crlf, "CR": cr - crlf}
    told.line_ends = " and ".join(name for name, number in ends.items() if number) or "none"
    if len(sample) == SAMPLE and dataset.format is not Format.JSON:
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    text = sample.decode("utf-8-sig" if declared == "utf-8" else declared, "replace")
    if dataset.format is Format.CSV:
        _look_at_header(text, told)
    try:
        inferred = infer_columns(text, dataset.format, dataset.csv, dataset.null_markers)
    except (ValueError, csv.Error) as error:
        told.notes.append(f"its types can't be inferred: {error}")
        return
    if dataset.format is Format.CSV and not dataset.csv.header:
        by_name = dict(zip((column.in_file for column in dataset.columns), inferred, strict=False))
    else:
        by_name = {column.in_file: column for column in inferred}
    for seen in told.columns:
        if found := by_name.get(seen.column.in_file):
            seen.inferred = str(found.type)


def _look_at_schema(path: Path, told: Explanation) -> None:
    with path.open("rb") as file:
        found = {column.in_file: column for column in infer_parquet(file)}
    for seen in told.columns:
        if column := found.get(seen.column.in_file):
            seen.inferred = str(column.type)


def _look_at_header(text: str, told: Explanation) -> None:
    dialect = told.dataset.csv
    line = text.partition("\n")[0]
    counts = {delimiter: line.count(delimiter) for delimiter in _DELIMITERS}
    likely = max(counts, key=lambda delimiter: counts[delimiter])
    if counts[likely] and not line.count(dialect.delimiter) and len(told.dataset.columns) > 1:
        told.notes.append(
            f"its first line has no {dialect.delimiter!r} and {counts[likely]} times a {_DELIMITERS[likely]}: "
            f"say csv: {{delimiter: {likely!r}}}"
        )
    if dialect.header:
        try:
            names = next(csv.reader(io.StringIO(text, newline=""), **dialect_of(dialect)))
        except (StopIteration, csv.Error):
            return  # The reader of rows has words for it.
        told.order = header_columns(names, told.dataset)


# ── what its rows are ───────────────────────────────────────────────────────────────────────────────────────────────


def _read(found: Iterator[Row], arrival: Arrival, told: Explanation) -> None:
    make = document_maker(told.dataset, arrival, _NEVER) if told.dataset.index else None
    for ordinal, row in enumerate(found):
        told.rows += 1
        reject = Reject(row.line, "", row.error, row.raw) if row.error else _judge(row, told)
        if reject:
            told.rejected += 1
            if len(told.rejects) < KEPT:
                told.rejects.append(Reject(reject.line, reject.column, reject.reason, _cut(reject.raw)))
        elif make and not told.document:
            made = make(ordinal, row)
            if isinstance(made, Document):
                told.document = _shown(made, arrival, told.dataset)


def _judge(row: Row, told: Explanation) -> Reject | None:
    """The first fault of the row, as the database would find it."""
    doubted = False
    reject = None
    for seen, value in zip(told.columns, row.values, strict=True):
        if value is None:
            seen.nulls += 1
        if reject or not (fault := fault_of(seen.column, value, told.dataset.date_order)):
            continue
        if fault.certain:
            seen.rejects += 1
            reject = Reject(row.line, seen.column.name, fault.reason, row.raw)
        elif not doubted:
            doubted = True
            told.first_doubt = told.first_doubt or Reject(row.line, seen.column.name, fault.reason, _cut(row.raw))
    told.doubts += doubted and reject is None
    return reject


def _shown(made: Document, arrival: Arrival, dataset: Dataset) -> str:
    """The document's JSON with its id; what only an arrival has stands in <…>."""
    id_ = made.id.replace(arrival.id, ARRIVAL_ID)
    if dataset.table is None and dataset.index and not dataset.index.id_columns:
        id_ = f"<hash of bucket, key, ETag and size>-{made.id.rpartition('-')[2]}"
    source = made.source.decode().replace(arrival.id, ARRIVAL_ID).replace(_NEVER.isoformat(), "<when it is loaded>")
    return f'{{"_id":"{id_}",{source[1:]}'


def _cut(raw: str) -> str:
    return raw.rstrip("\r\n")[: Reject.MAX_RAW]


def rules_of(dataset: Dataset) -> Sequence[str]:
    """What becomes of other versions of the file's key, and of the file put twice; sentences."""
    overwrite = {
        "append": "Another version of its key adds its rows to these.",
        "replace": "Another version of its key takes the place of these rows, in one transaction.",
        "refuse": "Another version of its key with other content is quarantined.",
    }[str(dataset.on_overwrite)]
    if dataset.upsert:
        key = ", ".join(dataset.upsert.key)
        overwrite = f"Of rows equal in {key}, the one with the greatest {dataset.upsert.order_by} stays."
    if dataset.event_id:
        overwrite = f"Of rows equal in {dataset.event_id}, the first that is loaded stays; the others are repeats."
    if dataset.table is None:
        return ["The same bytes put again under its key make the same documents: nothing is added."]
    return [overwrite, "The same bytes put again under its key are a duplicate: nothing is added."]
