"""Arrivals, of the fake and of S3 (MiniStack): every version is listed, in order, and can be read to its end."""

from __future__ import annotations

import os

import pytest
from tests.contract.buckets import ODD_KEYS, Bucket, listed, read

from penstock.model.errors import PermanentError
from penstock.model.streams import SeekableStream
from penstock.ports import Move


def test_keys_are_listed_in_ascending_order_and_the_versions_of_one_oldest_first(there: Bucket) -> None:
    for key in ("incoming/b", "incoming/a", "incoming/b", "incoming/ab", "incoming/b", "other/c"):
        there.put(key, key.encode())
    there.put("incoming/b", b"the fourth")

    found = listed(there)

    assert [arrival.key for arrival in found] == [
        "incoming/a",
        "incoming/ab",
        "incoming/b",
        "incoming/b",
        "incoming/b",
        "incoming/b",
    ]
    assert [read(there, arrival) for arrival in found[2:]] == [b"incoming/b"] * 3 + [b"the fourth"]
    assert len({arrival.id for arrival in found}) == 6


def test_versions_that_span_pages_stay_in_order(there: Bucket) -> None:
    there.put("incoming/a", b"before")
    for version in range(2100):
        there.put("incoming/m", b"%04d" % version)
    there.put("incoming/z", b"after")

    found = listed(there)

    assert [arrival.key for arrival in found] == ["incoming/a"] + ["incoming/m"] * 2100 + ["incoming/z"]
    numbers = [0, 1, 98, 99, 100, 101, 1098, 1099, 1100, 1101, 2099]
    assert [read(there, found[number + 1]) for number in numbers] == [b"%04d" % number for number in numbers]


@pytest.mark.parametrize("key", ODD_KEYS.values(), ids=ODD_KEYS)
def test_a_listing_goes_on_after_a_key_without_any_of_its_versions(there: Bucket, key: str) -> None:
    for name in ("incoming/a", key, key, "incoming/zz", "incoming/zz"):
        there.put(name, b"1")

    after = [arrival.key for arrival in there.store.arrivals("incoming/", key)]

    assert after == ["incoming/zz", "incoming/zz"]


def test_an_arrival_tells_size_etag_and_when_it_was_put(there: Bucket) -> None:
    there.put("incoming/a", b"hello")

    (arrival,) = listed(there)

    assert arrival.size == 5
    assert arrival.etag == "5d41402abc4b2a76b9719d911017c592"
    assert arrival.modified.tzinfo is not None


def test_a_plain_delete_withdraws_nothing(there: Bucket) -> None:
    there.put("incoming/a", b"one")
    there.delete("incoming/a")
    there.put("incoming/a", b"two")
    there.delete("incoming/a")

    assert [read(there, arrival) for arrival in listed(there)] == [b"one", b"two"]


def test_directory_objects_are_passed_over_and_full_ones_that_end_in_a_slash_are_not(there: Bucket) -> None:
    there.put("incoming/folder/", b"")
    there.put("incoming/odd/", b"content")
    there.put("incoming/empty.csv", b"")

    assert [arrival.key for arrival in listed(there)] == ["incoming/empty.csv", "incoming/odd/"]


def test_an_empty_prefix_lists_nothing(there: Bucket) -> None:
    assert listed(there) == []


def test_a_version_is_read_though_it_was_overwritten_and_hidden(there: Bucket) -> None:
    there.put("incoming/a", b"first")
    (first,) = listed(there)
    there.put("incoming/a", b"second")
    there.delete("incoming/a")

    assert read(there, first) == b"first"


def test_reading_goes_on_in_pieces_to_the_end_and_stays_there(there: Bucket) -> None:
    there.put("incoming/a", bytes(range(256)) * 1000)
    (arrival,) = listed(there)

    with there.store.open(arrival) as stream:
        data = b"".join(iter(lambda: stream.read(10_000), b""))
        again = stream.read(10)

    assert data == bytes(range(256)) * 1000
    assert again == b""


def test_an_empty_file_is_at_its_end_at_once(there: Bucket) -> None:
    there.put("incoming/a", b"")
    (arrival,) = listed(there)

    assert read(there, arrival) == b""


def test_opening_a_version_that_is_gone_is_a_permanent_error(there: Bucket) -> None:
    there.put("incoming/a", b"x")
    (arrival,) = listed(there)
    there.store.move([Move(arrival, "processed/a")])

    with pytest.raises(PermanentError), there.store.open(arrival) as stream:
        stream.read(1)


def test_a_version_is_read_from_anywhere_and_to_its_end(there: Bucket) -> None:
    there.put("incoming/a", b"0123456789")
    [arrival] = listed(there)
    there.put("incoming/a", b"another version")

    with there.store.open(arrival) as stream:
        assert isinstance(stream, SeekableStream)
        assert stream.read(2) == b"01"
        assert (stream.seek(-4, os.SEEK_END), stream.read(2), stream.tell()) == (6, b"67", 8)
        assert (stream.read(100), stream.read(1)) == (b"89", b"")
        assert (stream.seek(3), stream.read(3)) == (3, b"345")
        assert (stream.seek(0, os.SEEK_END), stream.read(1)) == (10, b"")
