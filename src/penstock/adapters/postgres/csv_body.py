r"""A CSV file as COPY is given it: chunks of bytes behind the header, and the certainty that COPY reads what csv reads.

COPY and Python's csv module agree on every file that quotes whole fields. They differ where a quote stands inside an
unquoted field (`5" pipe`: for COPY it opens a quote there, and rows can melt together without an error), where an
escape stands outside quotes, and at a line `\.` (before PostgreSQL 18 the end of the data, without an error). `_Guard`
finds these by counting bytes in whole chunks, no row being touched, and leaves such files to the row reader.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from penstock.model.datasets import Column, Csv, Dataset
from penstock.model.rows import dialect_of, header_columns
from penstock.model.streams import ByteStream

CHUNK = 2**18

_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


class UnclearError(Exception):
    """Only the row reader can say what this file is, or what is wrong with it."""


def csv_body(stream: ByteStream, dataset: Dataset) -> tuple[tuple[Column, ...], Iterator[bytes]]:
    """The columns in the file's order, and the bytes behind the header.

    Raises BadFileError where the header is not the dataset's, and UnclearError, also while the chunks are read, where
    COPY could read other rows than the row reader.
    """
    first = filled(stream)
    if not first or first.startswith(_UTF16_BOMS) or b"\0" in first:
        raise UnclearError  # Also before the header is looked at: it would be blamed.
    if dataset.csv.encoding == "utf-8":
        first = first.removeprefix(_UTF8_BOM)
    columns = dataset.columns
    if dataset.csv.header:
        header, length = _header(first, dataset.csv)
        columns = header_columns(header, dataset)
        first = first[length:]
    return columns, _guarded(first, stream, dataset)


def filled(stream: ByteStream) -> bytes:
    """The first chunk, full unless the stream ends within it."""
    pieces: list[bytes] = []
    size = 0
    while size < CHUNK and (piece := stream.read(CHUNK - size)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _header(chunk: bytes, dialect: Csv) -> tuple[list[str], int]:
    """The header's names and its length in bytes, its line end included."""
    end = b"\n" if b"\n" in chunk else b"\r"
    length = 0

    def lines() -> Iterator[str]:
        nonlocal length
        while length < len(chunk):
            stop = chunk.find(end, length) + 1
            if not stop:
                if len(chunk) >= CHUNK - len(_UTF8_BOM):
                    raise UnclearError
                stop = len(chunk)
            line = chunk[length:stop]
            length = stop
            yield line.decode(dialect.encoding)

    try:
        names = next(csv.reader(lines(), strict=True, **dialect_of(dialect)))
    except (StopIteration, UnicodeDecodeError, csv.Error):
        raise UnclearError from None
    return names, length


def _guarded(first: bytes, stream: ByteStream, dataset: Dataset) -> Iterator[bytes]:
    guard = _Guard(dataset.csv, dataset.limits.max_row)
    chunk = first
    while chunk:
        guard.feed(chunk)
        yield chunk
        chunk = stream.read(CHUNK)
    guard.finish()


class RowLength:
    """Stops at a row longer than the row reader takes: the server would collect up to a gigabyte of it in memory."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._length = 0

    def feed(self, chunk: bytes) -> None:
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r") if b"\n" not in chunk else -1)
        self._length = len(chunk) - end - 1 if end >= 0 else self._length + len(chunk)
        if self._length > self._most:
            raise UnclearError


class _Guard:
    """Where every quote that is not half of a doubled one opens or closes a whole field, as many stand behind a
    delimiter or line end as before one: half of them each, at least.
    """

    def __init__(self, dialect: Csv, max_row: int) -> None:
        self._quote = quote = dialect.quote.encode()
        self._escape = dialect.escape.encode()
        edges = (dialect.delimiter.encode(), b"\n", b"\r")
        self._opening = [edge + quote for edge in edges]
        self._closing = [quote + edge for edge in edges]
        q = re.escape(quote)
        edge = b"[^" + re.escape(b"".join(edges)) + q + b"]"
        self._inner = re.compile(q + q + b"(?<=" + edge + q + q + b")(?:" + q + q + b")*(?=" + edge + b")")
        """An even run of quotes inside a field: right where the field is quoted, and only there."""
        self._last = b"\n"
        self._held = b""
        """Quotes at a chunk's end, whose run may go on in the next."""
        self._quotes = self._opened = self._closed = 0
        self._row = RowLength(max_row)
        self._max_row = max_row
        self._in_quotes = 0
        """Bytes for which every chunk has ended inside quotes: one is open that never closes, most likely."""

    def feed(self, chunk: bytes) -> None:
        self._row.feed(chunk)
        if self._ends_data(chunk) or (self._escape != self._quote and self._escape in chunk):
            raise UnclearError
        if self._held or self._quote in chunk:
            chunk = self._held + chunk
            body = chunk.rstrip(self._quote)
            self._held = chunk[len(body) :]
            self._count(body)
        else:
            self._last = (self._last + chunk)[-2:]
        self._in_quotes = self._in_quotes + len(chunk) if self._quotes % 2 else 0
        if self._in_quotes > self._max_row:
            raise UnclearError

    def finish(self) -> None:
        self._count(self._held + b"\n")
        if self._quotes % 2:
            raise UnclearError

    def _ends_data(self, chunk: bytes) -> bool:
        if b"\\." not in chunk and not chunk.startswith(b"."):
            return False
        around = self._last + self._held + chunk
        return b"\n\\." in around or b"\r\\." in around

    def _count(self, body: bytes) -> None:
        if not body:
            return
        doubled = self._quote * 2
        around = self._last + body
        if doubled in body:
            if self._escape != self._quote and doubled + self._quote in body:
                raise UnclearError
            self._check_inner(around)
            singles = body.replace(doubled, b"")
            around = self._last + singles
            quotes = singles.count(self._quote)
        else:
            quotes = body.count(self._quote)
        self._quotes += quotes
        self._opened += sum(map(around.count, self._opening)) - sum(map(self._last.count, self._opening))
        self._closed += sum(map(around.count, self._closing)) - sum(map(self._last.count, self._closing))
        self._last = (self._last + body)[-2:]
        if self._opened < (self._quotes + 1) // 2 or self._closed < self._quotes // 2:
            raise UnclearError

    def _check_inner(self, around: bytes) -> None:
        inside = self._quotes - self._last.count(self._quote)
        at = 0
        for run in self._inner.finditer(around):
            if self._escape != self._quote:
                raise UnclearError
            inside += around.count(self._quote, at, run.start())
            at = run.start()
            if inside % 2 == 0:
                raise UnclearError
