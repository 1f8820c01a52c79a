"""From a file's bytes as they lie in S3 to its text's: plain, or gzip (of one member or many)."""

from __future__ import annotations

import gzip
import zlib
from typing import IO, cast

from penstock.model.datasets import Compression
from penstock.model.errors import BadFileError
from penstock.model.streams import ByteStream


def decompressed(stream: ByteStream, compression: Compression) -> ByteStream:
    """The file's bytes without their compression, in constant memory, whatever they unpack to.

    `compression` is `Dataset.compression_of(key)`. Reading raises BadFileError for data that is truncated, damaged or
    no gzip at all; what the stream itself raises goes through.
    """
    return _Gunzipped(stream) if compression is Compression.GZIP else stream


class _Gunzipped:
    def __init__(self, stream: ByteStream) -> None:
        # GzipFile asks a file for nothing but read(n) while it reads forward.
        self._file = gzip.GzipFile(fileobj=cast("IO[bytes]", _Buffered(stream)), mode="rb")

    def read(self, size: int, /) -> bytes:
        try:
            return self._file.read1(size)
        except EOFError:
            raise BadFileError("the gzip data ends early: the upload was cut off; send the file again") from None
        except gzip.BadGzipFile as error:
            if "Not a gzipped file" in str(error):
                raise BadFileError("the file is no gzip, though its name or its dataset says so") from None
            raise BadFileError("the gzip data is damaged: its checksum does not fit; send the file again") from None
        except zlib.error:
            raise BadFileError("the gzip data is damaged; send the file again") from None


class _Buffered:
    """Large reads below GzipFile's many small ones, each of which would else be a call into the HTTP client."""

    _SIZE = 2**18

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._held = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        """Exactly `size` bytes before the end: GzipFile takes half a member's magic number for a file that is none."""
        while len(self._held) < size and (more := self._stream.read(self._SIZE)):
            self._held = memoryview(bytes(self._held) + more)
        piece, self._held = self._held[:size], self._held[size:]
        return bytes(piece)
