"""From a file's bytes as they lie in S3 to its text's: plain, or gzip, zstd or bzip2, of one member or many."""

from __future__ import annotations

import bz2
import io
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Protocol

from penstock.model.datasets import Compression
from penstock.model.errors import BadFileError
from penstock.model.limits import FileLimits
from penstock.model.streams import ByteStream

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_RATIO_FROM = 8 * 2**20
"""Unpacked bytes below which a file may be of any ratio: a short one of equal rows is honest. So many are unpacked
before the first is handed on, so that no row of a bomb is loaded or indexed; behind them, what the ratio allows."""

_PIECE = 2**12
"""Packed bytes that are unpacked at once: what is taken early counts in a bomb's favour."""

_UNPACKED = 2**18
"""Bytes."""


def decompressed(stream: ByteStream, compression: Compression, limits: FileLimits = FileLimits()) -> ByteStream:  # noqa: B008 - frozen
    """The file's bytes without their compression, in constant memory, whatever they unpack to.

    `compression` is `Dataset.compression_of(key)`, `limits` are the dataset's. Reading raises BadFileError for data
    that is truncated, damaged or not compressed so, and for what unpacks to more than the limits allow; what the stream
    itself raises goes through. Damage that the format's checksum alone would show is found where there is one: zstd's
    is an option, which the `zstd` command sets.
    """
    if compression is Compression.NONE:
        return stream
    packed = _Buffered(stream)
    return _Limited(_Members(packed, _KINDS[compression]), packed, limits)


class _Limited:
    """What unpacks to more than the dataset allows is refused as soon as it has, and before its beginning is read."""

    def __init__(self, unpacked: ByteStream, packed: _Buffered, limits: FileLimits) -> None:
        self._stream = unpacked
        self._packed = packed
        self._limits = limits
        self._unpacked = 0
        self._ahead: IO[bytes] | None = None

    def read(self, size: int, /) -> bytes:
        if self._ahead is None:
            self._ahead = io.BytesIO()
            while self._unpacked <= _RATIO_FROM and (data := self._unpack(_UNPACKED)):
                self._ahead.write(data)
            self._ahead.seek(0)
        return self._ahead.read(size) or self._unpack(size)

    def _unpack(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._unpacked += len(data)
        limits = self._limits
        if self._unpacked > limits.max_uncompressed:
            raise BadFileError(
                f"the file unpacks to more than {_size(limits.max_uncompressed)}; split it, "
                "or raise limits: max_uncompressed of the dataset"
            )
        if self._unpacked > _RATIO_FROM and self._unpacked > limits.max_ratio * self._packed.taken:
            raise BadFileError(
                f"the file unpacks to more than {limits.max_ratio} times its size, as a decompression bomb does; if it "
                "is none, raise limits: max_ratio of the dataset"
            )
        return data


class _Decompressor(Protocol):
    """As bz2 and zstd both have it."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Kind:
    """`magics` are what a member can begin with; `fault` is the reason for what the library raises."""

    name: str
    magics: frozenset[bytes]
    new: Callable[[], _Decompressor]
    errors: type[Exception]
    fault: Callable[[Exception], BadFileError]
    padded: bool = False
    """Zeros may stand behind a member, as tapes have them."""


class _GzipMember:
    """zlib's reader of one member, in the shape that bz2 and zstd have."""

    def __init__(self) -> None:
        self._reader = zlib.decompressobj(wbits=31)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._reader.decompress(self._reader.unconsumed_tail + data, max(max_length, 0))

    @property
    def eof(self) -> bool:
        return self._reader.eof

    @property
    def needs_input(self) -> bool:
        return not self._reader.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._reader.unused_data


class _Members:
    """A file of one or many members, as `cat a.zst b.zst` makes."""

    def __init__(self, packed: _Buffered, kind: _Kind) -> None:
        self._packed = packed
        self._kind = kind
        self._member: _Decompressor | None = None
        self._first = True
        self._length = len(next(iter(kind.magics)))

    def read(self, size: int, /) -> bytes:
        while (member := self._member or self._next()) is not None:
            hungry = member.needs_input
            data = self._packed.read(_PIECE) if hungry else b""
            try:
                unpacked = member.decompress(data, size)
            except self._kind.errors as error:
                raise self._kind.fault(error) from None
            if hungry and not (data or unpacked or member.eof):
                raise _ends_early(self._kind.name)
            if member.eof:
                self._packed.give_back(member.unused_data)
                self._member = None
            if unpacked:
                return unpacked
        return b""

    def _next(self) -> _Decompressor | None:
        """The next member's; None behind the last."""
        kind = self._kind
        begins = self._packed.read(self._length)
        while kind.padded and not self._first and begins and not begins.strip(b"\0"):
            rest = self._packed.read(_PIECE).lstrip(b"\0")
            self._packed.give_back(rest)
            begins = self._packed.read(self._length)
        first, self._first = self._first, False
        if not begins:
            return None
        if begins not in kind.magics:
            if any(magic.startswith(begins) for magic in kind.magics):
                raise _ends_early(kind.name)
            raise _is_none(kind.name) if first else _something_behind(kind.name)
        self._packed.give_back(begins)
        self._member = kind.new()
        return self._member


def _zstd_fault(error: Exception) -> BadFileError:
    if "checksum" in str(error):
        return _wrong_checksum("zstd")
    if "memory" in str(error):
        return BadFileError("the zstd data wants a window of more than 128 MiB; compress it with --long=27 or less")
    return _damaged("zstd")


def _gzip_fault(error: Exception) -> BadFileError:
    return _wrong_checksum("gzip") if "incorrect" in str(error) and "check" in str(error) else _damaged("gzip")


_KINDS = {
    Compression.GZIP: _Kind("gzip", frozenset({b"\x1f\x8b\x08"}), _GzipMember, zlib.error, _gzip_fault, padded=True),
    Compression.BZIP2: _Kind("bzip2", frozenset({b"BZh"}), bz2.BZ2Decompressor, OSError, lambda _: _damaged("bzip2")),
    Compression.ZSTD: _Kind(
        "zstd",
        # A frame's, and those of frames that hold nothing of the file, as pzstd's do.
        frozenset({b"\x28\xb5\x2f\xfd", *(bytes([0x50 + number]) + b"\x2a\x4d\x18" for number in range(16))}),
        zstd.ZstdDecompressor,
        zstd.ZstdError,
        _zstd_fault,
    ),
}


def _ends_early(name: str) -> BadFileError:
    return BadFileError(f"the {name} data ends early: the upload was cut off; send the file again")


def _wrong_checksum(name: str) -> BadFileError:
    return BadFileError(f"the {name} data is damaged: its checksum does not fit; send the file again")


def _damaged(name: str) -> BadFileError:
    return BadFileError(f"the {name} data is damaged; send the file again")


def _is_none(name: str) -> BadFileError:
    return BadFileError(f"the file is no {name}, though its name or its dataset says so; compress it, or mend its name")


def _something_behind(name: str) -> BadFileError:
    return BadFileError(f"behind the {name} data stands something that is none; send the file again, without it")


class _Buffered:
    """Large reads below many small ones, each of which would else be a call into the HTTP client."""

    SIZE = 2**18

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._held = memoryview(b"")
        self.taken = 0
        """Bytes that were handed on."""

    def read(self, size: int, /) -> bytes:
        """Exactly `size` bytes before the end: half a member's magic number would be taken for a file that is none."""
        while len(self._held) < size and (more := self._stream.read(self.SIZE)):
            self._held = memoryview(bytes(self._held) + more)
        piece, self._held = self._held[:size], self._held[size:]
        self.taken += len(piece)
        return bytes(piece)

    def give_back(self, data: bytes) -> None:
        """What was read too far is read again."""
        if data:
            self._held = memoryview(data + bytes(self._held))
            self.taken -= len(data)


def _size(count: int) -> str:
    """As a dataset would say it: 10 GiB."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count % factor == 0:
            return f"{count // factor} {unit}"
    return f"{count} bytes"
