"""Dead letters of the stream: lines that are no events, which hold themselves, and places of records given up.

Lambda's own letter names a range of a shard and has no payload: the records are read back from the stream, which keeps
them until its retention ends. https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from penstock.adapters.aws_errors import code_of
from penstock.adapters.sqs_poison import KIND
from penstock.local.deployment import Deployment
from penstock.model.errors import PermanentError

QUEUE = "stream"


_ON_ITS_WAY = timedelta(minutes=15)
"""For which what is put into the stream again may wait to be counted: behind more than this an alarm has rung."""


class Held(NamedTuple):
    """What of a stream a letter is about, and the key under which it may be sent again."""

    key: str
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamLetter:
    source: str
    why: str
    then: str
    held: Callable[[], Sequence[Held]]
    """Raises PermanentError for what the stream does not keep any more."""
    redrive: Callable[[], None] | None
    doubt: str = ""
    """Why it might count twice what it puts into the stream again; empty where it can't."""


def is_of_stream(document: Mapping[str, Any]) -> bool:
    return document.get("penstock") == KIND or "KinesisBatchInfo" in document


def read_letter(deployment: Deployment, document: Mapping[str, Any]) -> StreamLetter:
    return _poison(deployment, document) if "penstock" in document else _given_up(deployment, document)


def _poison(deployment: Deployment, document: Mapping[str, Any]) -> StreamLetter:
    place = f"record {document['sequence']}, line {document['line']}"
    raw, key = document["raw"], str(document["key"])
    stream = _name(str(document["stream"]))

    def held() -> Sequence[Held]:
        if raw is not None:
            return [Held(key, b64decode(raw) + b"\n")]
        sequence = str(document["sequence"])
        [record] = _read_back(deployment, stream, str(document["shard"]), sequence, sequence)
        return [Held(key, record.data.split(b"\n")[int(document["line"]) - 1] + b"\n")]

    return _letter(deployment, stream, f"stream {stream}, {document['shard']}, {place}", str(document["why"]), held)


def _given_up(deployment: Deployment, document: Mapping[str, Any]) -> StreamLetter:
    batch, context = document["KinesisBatchInfo"], document.get("requestContext", {})
    first, last, shard = str(batch["startSequenceNumber"]), str(batch["endSequenceNumber"]), str(batch["shardId"])
    stream = _name(str(batch["streamArn"]))
    records = f"{batch['batchSize']} records" if batch["batchSize"] != 1 else "1 record"
    tries = context.get("approximateInvokeCount", "?")
    source = (
        f"stream {stream}, {shard}, {records} from {first}, that arrived {batch['approximateArrivalOfFirstRecord']}"
    )
    why = f"{context.get('condition', 'given up')} after {tries} invocations: ProcessStream's log says why"
    made = _letter(deployment, stream, source, why, lambda: list(_read_back(deployment, stream, shard, first, last)))
    return replace(made, doubt=_doubt(deployment, datetime.fromisoformat(batch["approximateArrivalOfFirstRecord"])))


def _doubt(deployment: Deployment, came: datetime) -> str:
    """A worker that was killed may have counted what was then given up, at the earliest when it came (decision 47)."""
    minutes = int(deployment.parameters.get("StreamDedupeMinutes", 0))
    if datetime.now(UTC) + _ON_ITS_WAY < came + timedelta(minutes=minutes):
        return ""
    kept = came + timedelta(hours=int(deployment.parameters.get("StreamRetentionHours", 24)))
    known = f"ids are remembered for {minutes:,} minutes" if minutes else "no ids are remembered"
    return (
        f"some of it may be counted already, and could count twice: it came at {came:%Y-%m-%d %H:%M} UTC, and {known}. "
        "Nothing waits for it, and with Archive=stream its events reach the warehouse in any case, once. The stream "
        f"keeps it until {kept:%Y-%m-%d %H:%M} UTC: `penstock dead-letters show --json` saves what it holds. Where a "
        "count too low is worse than one too high: penstock dead-letters redrive --may-count-twice"
    )


def _letter(
    deployment: Deployment, stream: str, source: str, why: str, held: Callable[[], Sequence[Held]]
) -> StreamLetter:
    if stream != deployment.outputs.get("StreamName"):
        return StreamLetter(source, why, "the stream is not this stack's any more: delete it in SQS", held, None)

    def redrive() -> None:
        for key, data in held():
            deployment.client("kinesis").put_record(StreamName=stream, Data=data, PartitionKey=key)

    return StreamLetter(source, why, "put it into the stream again", held, redrive)


def _read_back(deployment: Deployment, stream: str, shard: str, first: str, last: str) -> Iterator[Held]:
    """The records from `first` to `last`. Raises PermanentError where the first of them is gone."""
    kinesis = deployment.client("kinesis")
    gone = PermanentError(
        f"record {first} of {shard} is not in stream {stream} any more: its retention has ended. Have the producer "
        "send it again, then delete this letter in SQS"
    )
    try:
        at = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard, ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=first
        )["ShardIterator"]
    except ClientError as error:
        if code_of(error) in ("InvalidArgumentException", "ResourceNotFoundException"):
            raise gone from None
        raise
    seen = False
    while at:
        answer = kinesis.get_records(ShardIterator=at)
        for record in answer["Records"]:
            if not seen and record["SequenceNumber"] != first:
                raise gone
            seen = True
            yield Held(record["PartitionKey"], record["Data"])
            if record["SequenceNumber"] == last:
                return
        # An answer may be empty though records follow: only one at the shard's tip says that there are none.
        at = answer.get("NextShardIterator") if answer["Records"] or answer.get("MillisBehindLatest") else None
    if not seen:
        raise gone


def _name(arn: str) -> str:
    return arn.partition("/")[2]
