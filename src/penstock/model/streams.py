"""Bytes as they come: the one shape in which a file passes through Penstock."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


class ByteStream(Protocol):
    """A file's bytes. `read(n)` gives at most n of them, and b"" at the end; it may give fewer before the end."""

    def read(self, size: int, /) -> bytes: ...


@runtime_checkable
class SeekableStream(ByteStream, Protocol):
    """What an object store opens, and any file: read from anywhere, as Parquet is. Its size is where its end is."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def tell(self) -> int: ...
