"""`make bench-stream`: process_stream's records a second, beside Powertools' batch processor doing nothing.

The same batches go through each: as Lambda hands them over, to what it takes for an answer. Counts are kept in memory,
which shows what the code costs, and in DynamoDB as the laptop has it, whose server shares the processors.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from rich.console import Console
from rich.table import Table
from tests.fakes.counts import FakeCounts
from tests.lambda_context import FakeContext

from penstock.adapters.clock import SystemClock
from penstock.adapters.dynamodb_counts import DynamoCounts
from penstock.flows.process_stream import process_stream
from penstock.local.stack import LocalStack
from penstock.model.stream_events import EventFields
from penstock.ports.counts import Counts
from penstock.stream_batch import answer, batch_of

RECORDS = 1_000
ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/bench"
TEN = datetime(2013, 1, 1, 10, tzinfo=UTC)
TYPES = ("UA", "AA", "DL", "B6", "EV")
Run = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def batches(number: int, lines: int) -> list[dict[str, Any]]:
    """So many batches of a thousand records, each with so many events."""
    return [{"Records": [_record(RECORDS * batch + n, lines) for n in range(RECORDS)]} for batch in range(number)]


def _record(sequence: int, lines: int) -> dict[str, Any]:
    data = b"".join(
        json.dumps(
            {
                "event_id": f"{sequence}-{line}",
                "type": TYPES[(sequence + line) % len(TYPES)],
                "at": (TEN + timedelta(seconds=sequence // 100)).isoformat(),
                "origin": "EWR",
                "dest": "IAH",
                "delay": line,
            }
        ).encode()
        + b"\n"
        for line in range(lines)
    )
    kinesis = {
        "sequenceNumber": str(sequence),
        "partitionKey": f"key-{sequence % 99}",
        "data": b64encode(data).decode(),
    }
    return {"kinesis": kinesis, "eventID": f"shardId-0:{sequence}", "eventSource": "aws:kinesis", "eventSourceARN": ARN}


def with_powertools(handle: Callable[[Any], object]) -> Run:
    processor = BatchProcessor(event_type=EventType.KinesisDataStreams)
    context: Any = FakeContext()

    def run(event: Mapping[str, Any]) -> Mapping[str, Any]:
        return process_partial_response(dict(event), handle, processor, context)

    return run


def nothing(record: object) -> None:
    """Powertools gives the record by this name."""


def decoding(record: Any) -> bytes:
    data: bytes = record.kinesis.data_as_bytes()
    return data


def counting(counts: Counts, window: timedelta) -> Run:
    def run(event: Mapping[str, Any]) -> Mapping[str, Any]:
        batch = batch_of(event)
        done = process_stream(counts, _no_poison, batch.shard, batch.records, EventFields(), datetime.now(UTC), window)
        return answer(done.again)

    return run


def _no_poison(lines: Sequence[object]) -> None:
    raise AssertionError(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--report", type=Path, help="write all figures to this file, as JSON")
    given = parser.parse_args(arguments)
    hour, none = timedelta(hours=1), timedelta(0)
    rates: dict[str, list[float]] = {}
    with LocalStack.temporary("bench-stream", parameters={"Stream": "provisioned"}) as stack:
        ways: dict[str, tuple[int, Callable[[], Run]]] = {
            "Powertools, nothing": (1, lambda: with_powertools(nothing)),
            "Powertools, base64 alone": (1, lambda: with_powertools(decoding)),
            "in memory": (1, lambda: counting(FakeCounts(), hour)),
            "in memory, no ids": (1, lambda: counting(FakeCounts(), none)),
            "in memory, 20 events a record": (20, lambda: counting(FakeCounts(), hour)),
            "DynamoDB on the laptop": (1, lambda: counting(table(stack), hour)),
            "DynamoDB on the laptop, no ids": (1, lambda: counting(table(stack), none)),
        }
        for _ in range(given.rounds):
            for way, (lines, make) in ways.items():
                run, events = make(), batches(given.batches, lines)
                began = time.perf_counter()
                for event in events:
                    assert run(event) == {"batchItemFailures": []}  # noqa: S101 - a measure of what failed is none.
                rates.setdefault(way, []).append(given.batches * RECORDS / (time.perf_counter() - began))
    _show({way: (ways[way][0], each) for way, each in rates.items()})
    if given.report:
        given.report.write_text(json.dumps({way: [round(one) for one in each] for way, each in rates.items()}) + "\n")
    return 0


def table(stack: LocalStack) -> DynamoCounts:
    """A new one each time: what was counted before would be told as a replay."""
    client, name = stack.client("dynamodb"), f"counts-{uuid4().hex[:8]}"
    like = client.describe_table(TableName=stack.outputs["CountsTable"])["Table"]
    client.create_table(
        TableName=name,
        KeySchema=like["KeySchema"],
        AttributeDefinitions=like["AttributeDefinitions"],
        BillingMode="PAY_PER_REQUEST",
    )
    return DynamoCounts(client, name, SystemClock())


def _show(rates: Mapping[str, tuple[int, Sequence[float]]]) -> None:
    shown = Table("way", "records a second, each round", "median", "events a second")
    for way, (lines, each) in rates.items():
        typical = statistics.median(each)
        shown.add_row(way, ", ".join(f"{one:,.0f}" for one in each), f"{typical:,.0f}", f"{typical * lines:,.0f}")
    Console().print(shown)


if __name__ == "__main__":
    sys.exit(main())
