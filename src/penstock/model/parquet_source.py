"""A Parquet file as pyarrow reads it: its footer and its pages are looked at before pyarrow trusts them."""

from __future__ import annotations

import os
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from penstock.model.errors import BadFileError, PermanentError
from penstock.model.parquet_thrift import Chunk, Footer, ThriftError, read_footer, unpacked_pages
from penstock.model.streams import ByteStream, SeekableStream

_MAGIC = b"PAR1"
_ENCRYPTED = b"PARE"
_TAIL = 8
"""Bytes: the footer's length, and the magic again."""
MAX_FOOTER = 16 * 2**20

DAMAGED = "the file is damaged, or not all of it has arrived; send it again"

_NO_KEYS = "and Penstock has no keys to it; send it without Parquet's own encryption (S3 encrypts what lies there)"


class Source:
    """A stream as pyarrow reads one. What the stream itself raises comes out of pyarrow as it was."""

    closed = False

    def __init__(self, stream: ByteStream) -> None:
        if not isinstance(stream, SeekableStream):
            raise PermanentError("a Parquet file is read from its end, and this stream can't be")
        self._stream = stream
        self.size = stream.seek(0, os.SEEK_END)
        self.footer = Footer(0, (), encrypted=False)
        self.max_row_group = sys.maxsize
        self._chunks: dict[int, tuple[int, Chunk]] = {}
        """Each with its row group, by its place in the file."""
        self._places: list[int] = []
        self._unpacked: dict[int, dict[int, int]] = defaultdict(dict)
        """What the pages say, by row group and place."""

    def check(self) -> None:
        """Reads the footer. Raises BadFileError for what is no Parquet file at all, or encrypted."""
        if not self.size:
            raise BadFileError("the file is empty: there is not even a footer; send it again")
        self._stream.seek(0)
        if self._stream.read(len(_MAGIC)) not in (_MAGIC, _ENCRYPTED):
            raise BadFileError(
                "the file is no Parquet, though its dataset says so: it does not begin with PAR1. Send "
                "Parquet, or change the dataset's format"
            )
        self._stream.seek(max(0, self.size - _TAIL))
        tail = self._stream.read(_TAIL)
        if tail.endswith(_ENCRYPTED):
            raise BadFileError(f"the Parquet file is encrypted, {_NO_KEYS}")
        if self.size < len(_MAGIC) + _TAIL or not tail.endswith(_MAGIC):
            raise BadFileError("the Parquet file ends early: the upload was cut off; send the file again")
        footer = int.from_bytes(tail[:4], "little")
        if footer > self.size - len(_MAGIC) - _TAIL:
            raise BadFileError(f"the Parquet file's footer says that it is larger than the file: {DAMAGED}")
        if footer > MAX_FOOTER:
            raise BadFileError(
                f"the Parquet file's footer is larger than {sized(MAX_FOOTER)}; write the file in larger row groups"
            )
        self._stream.seek(self.size - _TAIL - footer)
        try:
            self.footer = read_footer(_whole(self._stream, footer))
        except ThriftError:
            raise BadFileError(f"the Parquet file's footer can't be read: {DAMAGED}") from None
        if self.footer.encrypted:
            raise BadFileError(f"columns of the Parquet file are encrypted, {_NO_KEYS}")
        groups = enumerate(self.footer.groups)
        self._chunks = {chunk.start: (number, chunk) for number, group in groups for chunk in group.chunks}
        self._places = sorted(self._chunks)

    @contextmanager
    def translated(self, what: str) -> Iterator[None]:
        """Raises BadFileError for pyarrow's errors, whose texts may quote a value and are left out."""
        import pyarrow as pa

        try:
            yield
        except BadFileError:
            raise
        except (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError, TypeError) as error:
            if isinstance(error, MemoryError):
                raise BadFileError(f"{what}: it takes more memory than there is; write smaller row groups") from None
            raise BadFileError(f"{what}: {DAMAGED}") from None

    def read(self, size: int = -1) -> bytes:
        start = self._stream.tell()
        data = self._stream.read(size if size >= 0 else self.size)
        self._check_pages(start, data)
        return data

    def _check_pages(self, start: int, data: bytes) -> None:
        """A column's bytes are read at once, and each of its pages is then unpacked to what the page's header says."""
        view = memoryview(data)
        for place in self._places[bisect_left(self._places, start) : bisect_left(self._places, start + len(data))]:
            number, chunk = self._chunks[place]
            if place + chunk.packed > start + len(data):
                continue
            pages = view[place - start :][: chunk.packed]
            self._unpacked[number][place] = sum(max(0, page) for page in unpacked_pages(pages))
            if (unpacked := sum(self._unpacked[number].values())) > self.max_row_group:
                raise BadFileError(
                    f"the pages of row group {number} say that they unpack to {unpacked:,} bytes: its footer says "
                    f"less, and limits: max_row_group of the dataset is {sized(self.max_row_group)}. Nothing of them "
                    "was unpacked. The file is damaged, or made to fill a worker's memory: ask its producer, and send "
                    "it again"
                )

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def close(self) -> None:
        """Whoever opened the stream closes it."""


def _whole(stream: ByteStream, size: int) -> bytes:
    """A stream may give less at once."""
    pieces = []
    while size and (piece := stream.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def sized(count: int) -> str:
    return f"{count // 2**20} MiB" if count % 2**20 == 0 else f"{count:,} bytes"
