from __future__ import annotations

import bz2
import gzip
import io
import tracemalloc
from collections.abc import Callable
from hashlib import sha256

import pytest
from tests.zstandard import zstd

from penstock.model import compression as compression_module
from penstock.model.compression import decompressed
from penstock.model.datasets import Compression
from penstock.model.errors import BadFileError
from penstock.model.limits import FileLimits
from penstock.model.streams import ByteStream

TEXT = b"".join(b"%d,some text\n" % number for number in range(50_000))
GZIPPED = gzip.compress(TEXT, mtime=0)  # Its bytes name cases, and those are the same in all workers.


def unpacked(data: bytes) -> bytes:
    stream = decompressed(io.BytesIO(data), Compression.GZIP)
    return b"".join(iter(lambda: stream.read(10_000), b""))


def unpacked_as(data: bytes, compression: Compression) -> bytes:
    stream = decompressed(io.BytesIO(data), compression)
    return b"".join(iter(lambda: stream.read(10_000), b""))


PACKERS = [(Compression.BZIP2, bz2.compress), (Compression.ZSTD, zstd.compress), (Compression.GZIP, gzip.compress)]


def read_until_refused(stream: ByteStream) -> tuple[int, str]:
    """The bytes that were given before, and why no more are."""
    taken = 0
    try:
        while piece := stream.read(2**12):
            taken += len(piece)
    except BadFileError as refused:
        return taken, str(refused)
    return taken, ""


def test_a_plain_file_is_its_own_stream() -> None:
    stream = io.BytesIO(TEXT)

    assert decompressed(stream, Compression.NONE) is stream


def test_gzip_of_one_member_is_unpacked() -> None:
    assert unpacked(GZIPPED) == TEXT


def test_gzip_of_many_members_is_unpacked_wherever_the_reads_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    member = gzip.compress(b"x\n")

    for size in range(1, len(member) + 2):
        monkeypatch.setattr(compression_module._Buffered, "SIZE", size)
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
        (GZIPPED + b"more", "behind the gzip data stands something that is none"),
    ],
)
def test_what_cannot_be_unpacked_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(BadFileError, match=reason):
        unpacked(data)


def test_zeros_that_fill_a_tape_s_last_block_are_no_garbage() -> None:
    assert unpacked(GZIPPED + bytes(512)) == TEXT


def test_what_unpacks_to_more_than_the_limit_is_refused_soon() -> None:
    stream = decompressed(io.BytesIO(GZIPPED), Compression.GZIP, FileLimits(max_uncompressed=2**16))

    taken, reason = read_until_refused(stream)

    assert taken == 0
    assert "unpacks to more than 64 KiB; split it, or raise limits: max_uncompressed" in reason


@pytest.mark.parametrize(("compression", "pack"), PACKERS)
def test_no_byte_of_a_bomb_is_handed_on(compression: Compression, pack: Callable[[bytes], bytes]) -> None:
    taken, reason = read_until_refused(decompressed(io.BytesIO(pack(bytes(20_000_000))), compression))

    assert taken == 0
    assert "more than 500 times its size" in reason


def test_a_bomb_behind_honest_data_is_handed_on_as_far_as_its_ratio_goes() -> None:
    honest = gzip.compress(
        b"".join(sha256(bytes([number])).digest() for number in range(256)).hex().encode() * 3, mtime=0
    )
    stream = decompressed(io.BytesIO(honest + gzip.compress(b"1\n" * 30_000_000)), Compression.GZIP)

    taken, reason = read_until_refused(stream)

    assert 0 < taken < 500 * 1.1 * (len(honest) + 60_000_000 / 1000)
    assert "more than 500 times its size" in reason


def test_a_short_file_of_equal_rows_is_no_bomb() -> None:
    assert unpacked(gzip.compress(b"1,one\n" * 600_000, 9)) == b"1,one\n" * 600_000


def test_a_bomb_that_the_dataset_allows_is_unpacked_a_piece_at_a_time() -> None:
    stream = decompressed(io.BytesIO(gzip.compress(bytes(50_000_000))), Compression.GZIP, FileLimits(max_ratio=2000))

    assert 0 < len(stream.read(1000)) <= 1000


@pytest.mark.parametrize(("compression", "pack"), PACKERS)
def test_members_are_one_file_wherever_the_reads_fall(
    compression: Compression, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    member = pack(b"x\n")

    for size in range(1, len(member) + 2):
        monkeypatch.setattr(compression_module._Buffered, "SIZE", size)
        assert unpacked_as(member * 3, compression) == b"x\nx\nx\n"


@pytest.mark.parametrize(("compression", "pack"), PACKERS[:2])
def test_a_file_that_is_cut_anywhere_ends_early(compression: Compression, pack: Callable[[bytes], bytes]) -> None:
    whole = pack(b"some text\n")

    for size in range(1, len(whole)):
        with pytest.raises(BadFileError, match="ends early"):
            unpacked_as(whole[:size], compression)
        with pytest.raises(BadFileError, match="ends early"):
            unpacked_as(whole + whole[:size], compression)


@pytest.mark.parametrize(("compression", "pack"), PACKERS)
def test_memory_does_not_grow_with_what_is_unpacked(compression: Compression, pack: Callable[[bytes], bytes]) -> None:
    data = pack(bytes(50_000_000))
    stream = decompressed(io.BytesIO(data), compression, FileLimits(max_ratio=10**7))
    tracemalloc.start()
    try:
        taken = sum(map(len, iter(lambda: stream.read(2**18), b"")))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert taken == 50_000_000
    assert peak < 20 * 2**20


@pytest.mark.parametrize(
    ("name", "compression"),
    [
        ("a.csv", Compression.NONE),
        ("A.CSV.GZ", Compression.GZIP),
        ("a.zst", Compression.ZSTD),
        ("a.b.zstd", Compression.ZSTD),
        ("a.bz2", Compression.BZIP2),
        ("gz", Compression.NONE),
        ("bz2/a.csv", Compression.NONE),
    ],
)
def test_a_name_s_ending_says_how_a_file_is_compressed(name: str, compression: Compression) -> None:
    assert Compression.by_name(name) is compression
