"""A Kinesis data stream: shards with ranges of hash keys, split and merged, whose records expire."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/events"
_KEYS = 2**128


@dataclass(frozen=True, slots=True)
class Record:
    sequence: int
    key: str
    data: bytes
    arrived: datetime


@dataclass(slots=True)
class Shard:
    name: str
    begin: int
    end: int
    """Without it, of the hash keys."""
    parents: tuple[str, ...] = ()
    closed: bool = False
    records: list[Record] = field(default_factory=list)

    def after(self, sequence: int) -> list[Record]:
        return self.records[bisect_right(self.records, sequence, key=lambda record: record.sequence) :]


class Stream:
    def __init__(self, shards: int = 1) -> None:
        self.shards: dict[str, Shard] = {}
        self._sequence = 49590338271490256608559692538361571095921575989136588898
        width = _KEYS // shards
        for number in range(shards):
            self._open(number * width, _KEYS if number == shards - 1 else (number + 1) * width)

    def put(self, key: str, data: bytes, now: datetime) -> tuple[str, int]:
        """The shard and the sequence number, which grows in a shard and from a parent to its children.

        A partition key's MD5 is its hash key: docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecord.html
        """
        hashed = int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest())
        (shard,) = (one for one in self.open() if one.begin <= hashed < one.end)
        self._sequence += 1
        shard.records.append(Record(self._sequence, key, data, now))
        return shard.name, self._sequence

    def open(self) -> list[Shard]:
        return [shard for shard in self.shards.values() if not shard.closed]

    def split(self, shard: Shard) -> None:
        """The parent stays, closed, with its records, until they expire:
        docs.aws.amazon.com/streams/latest/dev/kinesis-using-sdk-java-after-resharding.html
        """
        shard.closed = True
        middle = (shard.begin + shard.end) // 2
        self._open(shard.begin, middle, shard.name)
        self._open(middle, shard.end, shard.name)

    def merge(self, one: Shard, other: Shard) -> None:
        """Two neighbours: docs.aws.amazon.com/kinesis/latest/APIReference/API_MergeShards.html"""
        assert one.end == other.begin
        one.closed = other.closed = True
        self._open(one.begin, other.end, one.name, other.name)

    def neighbours(self) -> list[tuple[Shard, Shard]]:
        shards = sorted(self.open(), key=lambda shard: shard.begin)
        return list(pairwise(shards))

    def expire(self, now: datetime, retention: timedelta) -> None:
        for shard in self.shards.values():
            shard.records = [record for record in shard.records if now - record.arrived < retention]

    def _open(self, begin: int, end: int, *parents: str) -> None:
        name = f"shardId-{len(self.shards):012}"
        self.shards[name] = Shard(name, begin, end, parents)
