from __future__ import annotations

import gzip
import io

import pytest

from penstock.model import compression as compression_module
from penstock.model.compression import decompressed
from penstock.model.datasets import Compression
from penstock.model.errors import BadFileError

TEXT = b"".join(b"%d,some text\n" % number for number in range(50_000))
GZIPPED = gzip.compress(TEXT)


def unpacked(data: bytes) -> bytes:
    stream = decompressed(io.BytesIO(data), Compression.GZIP)
    return b"".join(iter(lambda: stream.read(10_000), b""))


def test_a_plain_file_is_its_own_stream() -> None:
    stream = io.BytesIO(TEXT)

    assert decompressed(stream, Compression.NONE) is stream


def test_gzip_of_one_member_is_unpacked() -> None:
    assert unpacked(GZIPPED) == TEXT


def test_gzip_of_many_members_is_unpacked_wherever_the_reads_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    member = gzip.compress(b"x\n")

    for size in range(1, len(member) + 2):
        monkeypatch.setattr(compression_module._Buffered, "_SIZE", size)
        assert unpacked(member * 3) == b"x\nx\nx\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (GZIPPED[:-1], "the gzip data ends early"),
        (GZIPPED[:1000], "the gzip data ends early"),
        (GZIPPED[:5], "the gzip data ends early"),
        (GZIPPED[:-8] + bytes(8), "its checksum does not fit"),
        (GZIPPED[:500] + bytes(50) + GZIPPED[550:], "the gzip data is damaged"),
        (TEXT, "the file is no gzip"),
    ],
)
def test_what_cannot_be_unpacked_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(BadFileError, match=reason):
        unpacked(data)


def test_a_bomb_is_unpacked_a_piece_at_a_time() -> None:
    stream = decompressed(io.BytesIO(gzip.compress(bytes(50_000_000))), Compression.GZIP)

    assert 0 < len(stream.read(1000)) <= 1000
