"""One PutRecords, and what became of each of its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from penstock.producer.events import partition_key
from penstock.producer.lanes import Parcel

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

_THROTTLED = {
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "KMSThrottlingException",
    "LimitExceededException",
}
_NEVER = {
    "ResourceNotFoundException",
    "InvalidArgumentException",
    "ValidationException",
    "KMSAccessDeniedException",
    "KMSDisabledException",
    "KMSNotFoundException",
    "AccessDeniedException",
}
"""Nothing that waiting heals: a stream that is not there, a right that is missing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`code` is empty where the record is in the stream."""

    code: str = ""
    throttled: bool = False
    never: bool = False


SENT = Verdict()


def make_client(connections: int, session: boto3.Session | None = None, endpoint: str | None = None) -> KinesisClient:
    """Kinesis answers in milliseconds: the SDK's minute of patience would only fill the buffer.

    No retries of the SDK's own: it would send a whole request again, and with it the records that are in the stream.
    """
    config = Config(
        connect_timeout=1,
        read_timeout=2,
        retries={"total_max_attempts": 1},
        max_pool_connections=connections,
        tcp_keepalive=True,
    )
    return (session or boto3.Session()).client("kinesis", config=config, endpoint_url=endpoint)


def send(client: KinesisClient, stream: str, parcels: Sequence[Parcel]) -> list[Verdict]:
    """A verdict for each parcel. A request that failed as a whole may have been carried out: its verdicts say again."""
    records: list[Any] = [{"Data": parcel.data, "PartitionKey": partition_key(parcel.key)} for parcel in parcels]
    named = {"StreamARN" if stream.startswith("arn:") else "StreamName": stream}
    try:
        results = client.put_records(Records=records, **named)["Records"]  # type: ignore[arg-type] # One of two names.
    except ClientError as refused:
        return [_verdict(refused.response.get("Error", {}).get("Code", "Unknown"))] * len(parcels)
    except BotoCoreError as lost:
        return [Verdict(type(lost).__name__)] * len(parcels)
    if len(results) != len(parcels):  # Whose results these are can't be told.
        return [Verdict("IncompleteAnswer")] * len(parcels)
    return [_verdict(result["ErrorCode"]) if result.get("ErrorCode") else SENT for result in results]


def _verdict(code: str) -> Verdict:
    return Verdict(code, throttled=code in _THROTTLED, never=code in _NEVER)
