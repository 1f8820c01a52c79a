"""Moving what was settled before, of the fake and of S3: from where it lies, and with all of its copies."""

from __future__ import annotations

from dataclasses import replace

from tests.contract.buckets import Bucket, listed, read

from penstock.model.arrivals import Arrival, Location, settled_key
from penstock.ports import Move


def failed(there: Bucket) -> Arrival:
    """In `failed/`, twice: its move was repeated."""
    there.put("incoming/d/a b.csv", b"hello")
    [arrival] = listed(there)
    key = settled_key("failed/", "d", "d/", arrival)
    there.put(key, b"hello")
    there.store.move([Move(arrival, key)])
    versions = tuple(one.version_id for one in there.store.arrivals(key))
    assert len(versions) == 2
    return replace(arrival, location=Location(key, versions), retry=1)


def test_it_is_read_where_it_lies_and_keeps_its_identity(there: Bucket) -> None:
    arrival = failed(there)

    assert read(there, arrival) == b"hello"
    assert arrival.id == replace(arrival, location=None).id


def test_it_leaves_no_copy_where_it_lay(there: Bucket) -> None:
    arrival = failed(there)
    target = settled_key("processed/", "d", "d/", arrival)

    for _ in range(2):
        there.store.move([Move(arrival, target)])

    assert there.content(target) == b"hello"
    assert listed(there, "failed/") == []


def test_one_that_stays_where_it_lies_is_left_alone(there: Bucket) -> None:
    arrival = failed(there)
    before = listed(there, "failed/")

    there.store.move([Move(arrival, arrival.lies.key)])

    assert listed(there, "failed/") == before
    assert there.content(arrival.lies.key) == b"hello"
