"""Lambda's event source mapping for Kinesis, as AWS's documents describe it. Each rule names its page:

- [K]  docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html
- [P]  docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html
- [R]  docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
- [F]  docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
- [M]  docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html
- [E]  docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html

Where they are silent, `undecided` chooses, so that nobody relies on either answer. Tumbling windows are left out:
Penstock uses none.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from tests.streams.kinesis import ARN, Record, Shard, Stream

Event = dict[str, Any]
Discarded = Callable[[Mapping[str, Any], Sequence[Record]], None]


class FunctionFailedError(Exception):
    """An error that the function raised, a crash, or a timeout: [F] treats them alike."""


class NotInvokedError(Exception):
    """Lambda throttled the function. [F]: before an invocation only a record's age ends the retries."""


@dataclass(frozen=True, slots=True)
class Settings:
    """With [P]'s defaults. `age` and `retries` of None are its -1: without end."""

    batch_size: int = 100
    batch_bytes: int = 6 * 2**20
    """[M]: a batch ends at 6 MB of payload, whatever its settings."""
    window: timedelta = timedelta(0)
    parallelization: int = 1
    retries: int | None = None
    age: timedelta | None = None
    bisect: bool = False
    report_failures: bool = False
    start: Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"] = "TRIM_HORIZON"
    start_at: datetime | None = None
    wanted: Callable[[bytes], bool] | None = None
    """[E]: what a filter does not want is passed as if it had been processed."""


@dataclass(slots=True)
class Piece:
    """A batch, or what is left of it after a failure."""

    records: list[Record]
    failures: int = 0


@dataclass(slots=True, eq=False)
class Lane:
    """One of a shard's concurrent batches. [K]: records of a partition key are always in the same one, in order."""

    shard: Shard
    number: int
    after: int
    """Everything up to this sequence number is done with: the checkpoint."""
    waiting_since: datetime
    pieces: list[Piece] = field(default_factory=list)
    flight: object = None


class EventSourceMapping:
    """`invoke` takes an event and returns the function's answer; `discarded` is the on-failure destination."""

    def __init__(
        self,
        stream: Stream,
        settings: Settings,
        invoke: Callable[[Event], object],
        now: Callable[[], datetime],
        discarded: Discarded = lambda _told, _records: None,
        undecided: Callable[[], bool] = lambda: False,
    ) -> None:
        self._stream = stream
        self._settings = settings
        self._invoke = invoke
        self._now = now
        self._discarded = discarded
        self._undecided = undecided
        self._lanes: dict[str, list[Lane]] = {}
        for shard in stream.shards.values():
            self._follow(shard, self._start(shard))

    def ready(self) -> list[Lane]:
        """Those for which the function would be invoked now."""
        for shard in self._stream.shards.values():
            if shard.name not in self._lanes:
                self._follow(shard, -1)  # A child is read from its beginning, whatever the mapping's start was.
        return [lane for lanes in self._lanes.values() for lane in lanes if self._is_ready(lane)]

    def is_done(self) -> bool:
        self.ready()
        return not any(lane.pieces or self._unread(lane) for lanes in self._lanes.values() for lane in lanes)

    def step(self, lane: Lane) -> None:
        """Invokes the function once with the lane's next batch, and takes its answer."""
        if not lane.pieces:
            lane.pieces.append(Piece(self._gathered(lane)))
        piece = self._young_enough(lane)
        if piece is None:
            return
        flight = lane.flight = object()
        answer: object = None
        try:
            answer = self._invoke(self._event(lane, piece))
            first = self._first_failed(answer, piece)
        except FunctionFailedError:
            first = 0
        except NotInvokedError:
            lane.flight = None
            return
        if lane.flight is flight:
            self._settle(lane, first, told=isinstance(answer, Mapping))

    def give_up(self, lane: Lane) -> None:
        """The invocation has timed out. Whatever it still does or answers, nobody listens."""
        self._settle(lane, 0, told=False)

    def _start(self, shard: Shard) -> int:
        """[M]: TRIM_HORIZON is the oldest that is retained; LATEST misses what comes while the mapping is made."""
        if self._settings.start == "LATEST":
            return shard.records[-1].sequence if shard.records else -1
        at = self._settings.start_at
        if self._settings.start == "AT_TIMESTAMP" and at is not None:
            return max((record.sequence for record in shard.records if record.arrived < at), default=-1)
        return -1

    def _follow(self, shard: Shard, after: int) -> None:
        """[K]: one batch at a time from each shard, or as many as the parallelization factor says."""
        self._lanes[shard.name] = [
            Lane(shard, number, after, self._now()) for number in range(self._settings.parallelization)
        ]

    def _is_ready(self, lane: Lane) -> bool:
        if lane.flight is not None:
            return False
        if lane.pieces:
            return True
        unread = self._unread(lane)
        if not unread or not self._parents_are_done(lane.shard):
            return False
        # [M]: a window begins when the invocation before it has ended, and a full batch does not wait for its end.
        full = len(unread) >= self._settings.batch_size or len(self._gathered(lane)) < len(unread)
        return full or self._now() - lane.waiting_since >= self._settings.window

    def _parents_are_done(self, shard: Shard) -> bool:
        """Lambda handles lineage as the KCL does, a parent's records before its children's:
        repost.aws/questions/QUr6IWiU35TpqNmM4z0CpS2Q. A parent that the mapping skipped has nothing unread.
        """
        return all(
            not (lane.pieces or self._unread(lane)) and self._parents_are_done(lane.shard)
            for name in shard.parents
            for lane in self._lanes[name]
        )

    def _unread(self, lane: Lane) -> list[Record]:
        """And wanted by the filter."""
        factor, wanted = self._settings.parallelization, self._settings.wanted
        return [
            record
            for record in lane.shard.after(lane.after)
            if zlib.crc32(record.key.encode()) % factor == lane.number and (wanted is None or wanted(record.data))
        ]

    def _gathered(self, lane: Lane) -> list[Record]:
        """[M]: until the batch's size, or its payload's 6 MB."""
        batch: list[Record] = []
        size = 0
        for record in self._unread(lane)[: self._settings.batch_size]:
            size += len(base64.b64encode(record.data))
            if batch and size > self._settings.batch_bytes:
                break
            batch.append(record)
        return batch

    def _young_enough(self, lane: Lane) -> Piece | None:
        """[P], [F]: records that are older than the maximum age are discarded, without or after tries."""
        piece, age = lane.pieces[0], self._settings.age
        old = [record for record in piece.records if age is not None and self._now() - record.arrived > age]
        if old:
            self._discard(lane, old, "RecordAgeExceeded", piece.failures)
            piece.records = [record for record in piece.records if record not in old]
            self._checkpoint(lane, old[-1].sequence)
        if not piece.records:
            lane.pieces.pop(0)
            return None
        return piece

    def _first_failed(self, answer: object, piece: Piece) -> int | None:
        """The place of the first record that comes again; None when the batch is done.

        [R]: an empty or null answer or list is a complete success; an empty, null or misnamed itemIdentifier is a
        complete failure; of several the lowest sequence number is the checkpoint. One that is not in the batch is taken
        for a complete failure too. Without ReportBatchItemFailures no answer is looked at.
        """
        if not self._settings.report_failures or not isinstance(answer, Mapping):
            return None
        places = {str(record.sequence): place for place, record in enumerate(piece.records)}
        failed = [places.get(str(one.get("itemIdentifier")), 0) for one in answer.get("batchItemFailures") or []]
        return min(failed, default=None)

    def _settle(self, lane: Lane, first: int | None, *, told: bool) -> None:
        """[R]: what comes before the checkpoint is done; a success checkpoints at the batch's highest number.

        [F]: retries end at their limit, and then what is left of the batch is discarded, all of it. Splitting a batch
        in two does not count as a retry. [R]: with bisect, an answer splits at its checkpoint instead.
        """
        lane.flight, lane.waiting_since = None, self._now()
        piece = lane.pieces[0]
        if first is None:
            self._checkpoint(lane, piece.records[-1].sequence)
            lane.pieces.pop(0)
            return
        if first:
            self._checkpoint(lane, piece.records[first - 1].sequence)
        left = piece.records[first:]
        # Whether what a split at the checkpoint leaves begins its count of retries anew is not said.
        failures = 0 if first and self._settings.bisect and self._undecided() else piece.failures
        splits_at_checkpoint = told and (first > 0 or self._undecided())
        if self._settings.bisect and len(left) > 1 and not splits_at_checkpoint:
            half = len(left) // 2
            lane.pieces[:1] = [Piece(left[:half], failures), Piece(left[half:], failures)]
        elif self._settings.retries is not None and failures >= self._settings.retries:
            self._discard(lane, left, "RetryAttemptsExhausted", failures + 1)
            self._checkpoint(lane, left[-1].sequence)
            lane.pieces.pop(0)
        else:
            lane.pieces[0] = Piece(left, failures + 1)

    def _checkpoint(self, lane: Lane, sequence: int) -> None:
        lane.after = max(lane.after, sequence)

    def _discard(self, lane: Lane, records: Sequence[Record], condition: str, invocations: int) -> None:
        """[F]: the destination gets where the records are, never the records."""
        info = {
            "shardId": lane.shard.name,
            "startSequenceNumber": str(records[0].sequence),
            "endSequenceNumber": str(records[-1].sequence),
            "approximateArrivalOfFirstRecord": _text(records[0].arrived),
            "approximateArrivalOfLastRecord": _text(records[-1].arrived),
            "batchSize": len(records),
            "streamArn": ARN,
        }
        context = {
            "requestId": "c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5",
            "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:process-stream",
            "condition": condition,
            "approximateInvokeCount": invocations,
        }
        response = {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
        told = {"requestContext": context, "responseContext": response, "version": "1.0", "KinesisBatchInfo": info}
        self._discarded(told | {"timestamp": _text(self._now())}, records)

    def _event(self, lane: Lane, piece: Piece) -> Event:
        """[K] shows the shape."""
        return {"Records": [_as_event(lane.shard.name, record) for record in piece.records]}


def _as_event(shard: str, record: Record) -> Event:
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record.key,
            "sequenceNumber": str(record.sequence),
            "data": base64.b64encode(record.data).decode(),
            "approximateArrivalTimestamp": record.arrived.timestamp(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard}:{record.sequence}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/process-stream",
        "awsRegion": "eu-west-1",
        "eventSourceARN": ARN,
    }


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
