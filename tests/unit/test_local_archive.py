"""The laptop's archive loses nothing of what it has read, whatever S3 or the stream says."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from penstock.local.archive import Archive


@dataclass
class Stream:
    """Kinesis' four calls, of shards that a test fills; an iterator is a shard's name and a place."""

    shards: dict[str, list[bytes]]
    closed: set[str] = field(default_factory=set)
    expired: bool = False

    def get_paginator(self, _name: str) -> Any:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"Shards": [{"ShardId": name} for name in self.shards]}]

    def get_shard_iterator(self, **wanted: Any) -> dict[str, Any]:
        assert wanted["ShardIteratorType"] == "TRIM_HORIZON"
        return {"ShardIterator": f"{wanted['ShardId']} 0"}

    def get_records(self, **wanted: Any) -> dict[str, Any]:
        if self.expired:
            self.expired = False
            raise ClientError({"Error": {"Code": "ExpiredIteratorException"}}, "GetRecords")
        shard, place = wanted["ShardIterator"].split()
        records = self.shards[shard][int(place) :]
        after = None if shard in self.closed else f"{shard} {len(self.shards[shard])}"
        return {"Records": [{"Data": data} for data in records], "NextShardIterator": after}


@dataclass
class Bucket:
    objects: dict[str, bytes] = field(default_factory=dict)
    away: bool = False

    def put_object(self, **wanted: Any) -> None:
        if self.away:
            raise ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")
        self.objects[wanted["Key"]] = gzip.decompress(wanted["Body"])

    @property
    def lines(self) -> list[bytes]:
        return sorted(line for body in self.objects.values() for line in body.splitlines() if line)


@pytest.fixture
def now() -> list[float]:
    return [0.0]


def archive(stream: Stream, bucket: Bucket, now: list[float], most: int = 2**20) -> Archive:
    return Archive(stream, bucket, "events", "landing", "events/", most, 5.0, lambda: now[0])


def test_it_delivers_when_it_has_enough_or_has_waited_and_not_before(now: list[float]) -> None:
    stream, bucket = Stream({"a": [b"1"], "b": [b"2\n"]}), Bucket()  # One without a newline, before another.
    made = archive(stream, bucket, now, most=10)

    assert made.turn() == 2
    assert not bucket.objects
    now[0] = 5.0
    assert made.turn() == 0
    assert bucket.lines == [b"1", b"2"]
    stream.shards["a"].append(b"longer than that\n")
    made.turn()

    assert bucket.lines == [b"1", b"2", b"longer than that"]
    [key, _] = bucket.objects
    assert key.startswith("incoming/events/2")
    assert key.endswith(".jsonl.gz")


def test_what_could_not_be_put_is_put_by_a_later_turn(now: list[float]) -> None:
    stream, bucket = Stream({"a": [b"1\n"]}), Bucket(away=True)
    made = archive(stream, bucket, now, most=1)
    with pytest.raises(ClientError):
        made.turn()
    stream.shards["a"].append(b"2\n")
    bucket.away = False

    made.turn()

    assert bucket.lines == [b"1", b"2"]


def test_shards_that_a_split_makes_are_read_from_their_beginning_and_closed_ones_are_left(now: list[float]) -> None:
    stream, bucket = Stream({"a": [b"1\n"]}), Bucket()
    made = archive(stream, bucket, now, most=1)
    made.turn()
    stream.shards |= {"b": [b"2\n"], "c": [b"3\n"]}
    stream.closed.add("a")
    now[0] = 5.0

    made.turn()
    stream.shards["a"].append(b"never\n")
    made.turn()

    assert bucket.lines == [b"1", b"2", b"3"]


def test_a_place_that_has_expired_is_begun_anew(now: list[float]) -> None:
    stream, bucket = Stream({"a": [b"1\n"]}), Bucket()
    made = archive(stream, bucket, now, most=1)
    made.turn()
    stream.shards["a"].append(b"2\n")
    stream.expired = True

    with pytest.raises(ClientError):
        made.turn()
    made.turn()

    assert set(bucket.lines) == {b"1", b"2"}
