"""Bytes as they come: the one shape in which a file passes through Penstock."""

from __future__ import annotations

from typing import Protocol


class ByteStream(Protocol):
    """A file's bytes. `read(n)` gives at most n of them, and b"" at the end; it may give fewer before the end."""

    def read(self, size: int, /) -> bytes: ...
