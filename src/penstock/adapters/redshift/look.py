"""Whether COPY may read a file as it lies in S3, told by its first block; else Penstock reads it itself.

COPY is lenient where Penstock is not, and silent about it: it skips a header unread, takes a file of CR line ends for
one long header, and checks neither a uuid nor JSON. What is not plainly in its reach is read by `read_file`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field

from penstock.model.arrivals import Arrival
from penstock.model.compression import decompressed
from penstock.model.datasets import Column, ColumnType, Dataset, Format
from penstock.model.rows import dialect_of, header_columns
from penstock.ports import ObjectStore

_BLOCK = 2**16

_OPTIONS = {"none": "", "gzip": "GZIP", "zstd": "ZSTD", "bzip2": "BZIP2"}
"""COPY's words for a compression."""

UNCHECKED = {ColumnType.UUID, ColumnType.JSON}


@dataclass(frozen=True, slots=True)
class Shape:
    """What the files of one COPY share: the columns in their order, and COPY's word for the compression."""

    columns: tuple[Column, ...]
    compression: str
    types: tuple[str, ...] = ()
    """Of Parquet alone: the SQL type that COPY takes each column as."""
    rows: int = field(default=-1, compare=False)
    """Of Parquet alone: how many its footer says that the file has."""


def look(arrival: Arrival, dataset: Dataset, store: ObjectStore) -> Shape | None:
    """None for a file that Penstock has to read. Raises BadFileError for one that no one can."""
    if dataset.format is Format.PARQUET:
        from penstock.adapters.redshift.look_parquet import look_parquet  # It reads on from here.

        return look_parquet(arrival, dataset, store)
    packed = dataset.compression_of(arrival.key)
    with store.open(arrival) as stream:
        block = bytearray()
        body = decompressed(stream, packed, dataset.limits)
        while len(block) < _BLOCK and (more := body.read(_BLOCK - len(block))):
            block += more
    # A file that was retried has failed before: it is read with care.
    if arrival.retry or packed not in _OPTIONS or not _takes(dataset) or not _plain(bytes(block)):
        return None
    columns = dataset.columns
    if dataset.format is Format.CSV and dataset.csv.header:
        line = bytes(block).partition(b"\n")[0].decode()
        if line.count(dataset.csv.quote) % 2:
            return None  # A column's name goes over the line's end; IGNOREHEADER skips lines.
        columns = header_columns(next(csv.reader([line], **dialect_of(dataset.csv))), dataset)
    return Shape(columns, _OPTIONS[packed])


def _takes(dataset: Dataset) -> bool:
    """Whether COPY can be told this dataset's format, and checks all of its types."""
    if any(column.type in UNCHECKED for column in dataset.columns):
        return False
    if dataset.format is Format.JSONL:
        return True
    dialect = dataset.csv
    # An empty number is NULL to COPY whatever it is told, and it knows one text beside the empty one.
    known = "" in dataset.null_markers and len(dataset.null_markers) <= 2
    return dataset.format is Format.CSV and dialect.encoding == "utf-8" and dialect.escape == dialect.quote and known


def _plain(block: bytes) -> bool:
    """UTF-8 without a mark or a NUL, in lines that end with LF or CRLF."""
    if b"\n" not in block or block.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")) or b"\0" in block:
        return False
    if b"\r" in block.replace(b"\r\n", b"\n").removesuffix(b"\r"):
        return False
    try:
        block[: block.rfind(b"\n")].decode()
    except UnicodeDecodeError:
        return False
    return bool(block.partition(b"\n")[0].strip())
