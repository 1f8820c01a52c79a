"""What Firehose does for a stack on AWS: the stream's records below incoming/, as gzip JSON Lines, at least once.

MiniStack's Firehose makes an object of each record, not compressed, and keeps them all. Here records are gathered for
`ArchiveMiB` and `ArchiveSeconds`, and lie under keys like Firehose's. How far it has come it knows in memory alone, and
it begins at the beginning: one that is started again archives all again, and repeats are told by their ids.

Started by the supervisor as `python -m penstock.local.archive FOLDER`.
"""

from __future__ import annotations

import gzip
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from penstock.local.clients import client, session
from penstock.local.state import StackState
from penstock.model.arrivals import INCOMING

_IDLE_SECONDS = 0.2
_SHARDS_SECONDS = 5.0


@dataclass(slots=True)
class Archive:
    """`prefix` is below incoming/; an object is delivered at `most` bytes, or when a record has waited `seconds`."""

    kinesis: Any
    s3: Any
    stream: str
    bucket: str
    prefix: str
    most: int
    seconds: float
    clock: Callable[[], float] = time.monotonic
    _places: dict[str, str] = field(default_factory=dict)
    """Where each shard is read on from; nothing where it has ended."""
    _looked: float | None = None
    _gathered: list[bytes] = field(default_factory=list)
    _size: int = 0
    _since: float = 0.0

    def turn(self) -> int:
        """Reads on in each shard once, and delivers what is due; how many records came.

        Raises botocore's errors. Nothing is lost by them: what was gathered is delivered by a later turn.
        """
        self._look_for_shards()
        came = sum(self._read(shard) for shard, place in list(self._places.items()) if place)
        if self._gathered and (self._size >= self.most or self.clock() - self._since >= self.seconds):
            self.deliver()
        return came

    def deliver(self) -> None:
        """What was gathered as one object; nothing of nothing."""
        if not self._gathered:
            return
        now = datetime.now(UTC)
        name = f"{self.stream}-1-{now:%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}.jsonl.gz"
        body = gzip.compress(b"".join(self._gathered), 1)
        self.s3.put_object(Bucket=self.bucket, Key=f"{INCOMING}{self.prefix}{now:%Y/%m/%d/%H}/{name}", Body=body)
        self._gathered, self._size = [], 0

    def _read(self, shard: str) -> int:
        try:
            answer = self.kinesis.get_records(ShardIterator=self._places[shard])
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExpiredIteratorException":  # As a laptop's that was asleep.
                del self._places[shard]
                self._looked = None
            raise
        self._places[shard] = answer.get("NextShardIterator") or ""
        for record in answer["Records"]:
            self._gather(record["Data"])
        return len(answer["Records"])

    def _gather(self, data: bytes) -> None:
        if not self._gathered:
            self._since = self.clock()
        self._gathered.append(data + b"\n")  # As Firehose does, whether a newline is there or not.
        self._size += len(data) + 1

    def _look_for_shards(self) -> None:
        """A stream that is split has new ones, which begin where they begin."""
        if self._looked is not None and self.clock() - self._looked < _SHARDS_SECONDS:
            return
        for page in self.kinesis.get_paginator("list_shards").paginate(StreamName=self.stream):
            for shard in page["Shards"]:
                if shard["ShardId"] not in self._places:
                    wanted = {
                        "StreamName": self.stream,
                        "ShardId": shard["ShardId"],
                        "ShardIteratorType": "TRIM_HORIZON",
                    }
                    self._places[shard["ShardId"]] = self.kinesis.get_shard_iterator(**wanted)["ShardIterator"]
        self._looked = self.clock()


def archive_of(state: StackState) -> Archive:
    """Of a stack that is deployed with `Archive=stream`."""
    made, endpoint = session(), f"http://127.0.0.1:{state.engines['ministack'].port}"
    return Archive(
        client(made, "kinesis", endpoint),
        client(made, "s3", endpoint),
        state.outputs["StreamName"],
        state.outputs["LandingBucket"],
        state.parameters["ArchivePrefix"],
        int(state.parameters["ArchiveMiB"]) * 2**20,
        float(state.parameters["ArchiveSeconds"]),
    )


def main(folder: Path) -> None:
    archive = archive_of(StackState.read(folder))
    while True:
        try:
            came = archive.turn()
        except (BotoCoreError, ClientError) as error:
            print(f"tries again: {error}", file=sys.stderr, flush=True)  # noqa: T201 - the engine's log
            came = 0
        if not came:
            time.sleep(_IDLE_SECONDS)  # A shard is asked; it tells nothing.


if __name__ == "__main__":
    main(Path(sys.argv[1]))
