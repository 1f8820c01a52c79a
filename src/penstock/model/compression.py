"""From a file's bytes as they lie in S3 to its text's: plain, or gzip (of one member or many)."""

from __future__ import annotations

import gzip
import zlib
from typing import IO, cast

from penstock.model.datasets import Compression, FileLimits
from penstock.model.errors import BadFileError
from penstock.model.streams import ByteStream

_RATIO_FROM = 64 * 2**20
"""Unpacked bytes below which a file may be of any ratio: it can do no harm, and a short one of equal rows is honest."""


def decompressed(stream: ByteStream, compression: Compression, limits: FileLimits = FileLimits()) -> ByteStream:  # noqa: B008 - frozen
    """The file's bytes without their compression, in constant memory, whatever they unpack to.

    `compression` is `Dataset.compression_of(key)`, `limits` are the dataset's. Reading raises BadFileError for data
    that is truncated, damaged or no gzip at all, and for what unpacks to more than the limits allow; what the stream
    itself raises goes through.
    """
    return _Gunzipped(stream, limits) if compression is Compression.GZIP else stream


class _Gunzipped:
    def __init__(self, stream: ByteStream, limits: FileLimits) -> None:
        self._packed = _Buffered(stream)
        self._unpacked = 0
        self._limits = limits
        # GzipFile asks a file for nothing but read(n) while it reads forward.
        self._file = gzip.GzipFile(fileobj=cast("IO[bytes]", self._packed), mode="rb")

    def read(self, size: int, /) -> bytes:
        try:
            data = self._file.read1(size)
        except EOFError:
            raise BadFileError("the gzip data ends early: the upload was cut off; send the file again") from None
        except gzip.BadGzipFile as error:
            if "Not a gzipped file" not in str(error):
                raise BadFileError("the gzip data is damaged: its checksum does not fit; send the file again") from None
            if self._unpacked:
                raise BadFileError(
                    "behind the gzip data stands something that is none; send the file again, without it"
                ) from None
            raise BadFileError(
                "the file is no gzip, though its name or its dataset says so; compress it, or mend its name"
            ) from None
        except zlib.error:
            raise BadFileError("the gzip data is damaged; send the file again") from None
        self._unpacked += len(data)
        self._check()
        return data

    def _check(self) -> None:
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


class _Buffered:
    """Large reads below GzipFile's many small ones, each of which would else be a call into the HTTP client."""

    _SIZE = 2**18

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._held = memoryview(b"")
        self.taken = 0
        """Bytes that were handed on."""

    def read(self, size: int, /) -> bytes:
        """Exactly `size` bytes before the end: GzipFile takes half a member's magic number for a file that is none."""
        while len(self._held) < size and (more := self._stream.read(self._SIZE)):
            self._held = memoryview(bytes(self._held) + more)
        piece, self._held = self._held[:size], self._held[size:]
        self.taken += len(piece)
        return bytes(piece)


def _size(count: int) -> str:
    """As a dataset would say it: 10 GiB."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count % factor == 0:
            return f"{count // factor} {unit}"
    return f"{count} bytes"
