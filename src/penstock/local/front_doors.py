"""What a stream of events, its archive and a queue of messages cost; and what files these become."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from penstock.local.coming import HOURS, MONTH, Events, Messages
from penstock.local.cost import Line, Prices, sampled
from penstock.local.frequency import EVERY_MINUTE
from penstock.local.stack_template import StackTemplate
from penstock.ports.counts import MOST

LOG_BYTES_A_CALL = 2_000
"""Seen on a laptop: 920, and Lambda's own lines are longer as JSON."""
_SHARD_BYTES, _SHARD_RECORDS = 2**20, 1_000
"""That a shard takes in a second."""
_INVOCATION = 6_000_000
"""Bytes that Lambda hands over at most, with the records in base64 and some 400 bytes around each."""
_REMEMBERED_BYTES = 200
"""Of an event's id in the counts table, with the 100 that DynamoDB adds."""
_FORGOTTEN_LATE = 2 * 86400
"""Seconds within which DynamoDB deletes what is over its time, as AWS says."""
_PACKING = 0.3
"""Seconds for which a file of a FIFO queue takes in nothing more."""
_GZIP = 10


@dataclass(frozen=True)
class Made:
    """Files of Firehose or of a queue, as many a month."""

    files: int
    size: int
    unpacks_to: float


@dataclass(frozen=True)
class Counting:
    """How process_stream works a month's events."""

    shards: int
    calls: int
    writes: int
    """Items in transactions."""


def shards_of(events: Events, stack: StackTemplate) -> int:
    """On demand a stream has four at first, and room for twice what has come."""
    if stack.parameters["Stream"] == "provisioned":
        return int(stack.number("StreamShards"))
    return max(4, 2 * shards_wanted(events))


def counting_of(events: Events, stack: StackTemplate) -> Counting:
    shards = shards_of(events, stack)
    if not events.a_month:
        return Counting(shards, 0, 0)
    a_shard = events.a_month / shards / MONTH
    most = min(stack.number("StreamBatchRecords"), _INVOCATION / (events.size * 4 / 3 + 400))
    window = max(stack.number("StreamWindowSeconds"), 1)  # Lambda looks into a shard once a second.
    calls = math.ceil(min(shards * MONTH * max(a_shard / most, 1 / (window + 1 / a_shard)), events.a_month))
    return Counting(shards, calls, calls * writes_of(events, stack, events.a_month / calls))


def writes_of(events: Events, stack: StackTemplate, of_a_call: float) -> int:
    """Items that a call writes for its events: a tally for each type, the place of the shard, and each event's id."""
    types = min(events.types, math.ceil(of_a_call))
    if not stack.number("StreamDedupeMinutes"):
        return types + 1
    chunks = math.ceil(of_a_call / (MOST - types))
    return math.ceil(of_a_call * (1 - events.poison)) + chunks * (min(types, math.ceil(of_a_call / chunks)) + 1)


def stream_lines(events: Events, stack: StackTemplate, prices: Prices) -> Iterator[Line]:
    if stack.parameters["Stream"] == "none":
        return
    counted = counting_of(events, stack)
    dollars, forgetful = prices.dollars, not stack.number("StreamDedupeMinutes")

    def line(service: str, what: str, number: float, price: str) -> Line:
        return Line(service, what, number * dollars[price], "stream")

    yield from _kinesis(events, stack, counted.shards, prices)
    watched = int(MONTH // EVERY_MINUTE)
    rate = prices.rates["process_stream_forgetful" if forgetful else "process_stream"]
    gb_seconds = rate.seconds(counted.calls, events.a_month, 0) * stack.memory["process_stream"]
    gb_seconds += prices.rates["watch_rate"].seconds(watched, 0, 0) * stack.memory["watch_rate"]
    yield _lambda("stream", counted.calls + watched, gb_seconds, stack, prices)
    yield line("DynamoDB", f"{2 * counted.writes:,} writes", 2 * counted.writes, "dynamodb_write")  # Both phases.
    yield line("DynamoDB", f"{counted.calls + watched:,} reads", counted.calls + watched, "dynamodb_read")
    seconds = 0 if forgetful else stack.number("StreamDedupeMinutes") * 60 + _FORGOTTEN_LATE
    kept = events.a_month / MONTH * seconds * _REMEMBERED_BYTES / 1e9
    both = dollars["dynamodb_gb_month"] + dollars["dynamodb_recovery_gb_month"]
    yield Line("DynamoDB", f"{kept:,.2f} GB of ids", kept * both, "stream")
    letters = round(events.a_month * events.poison)
    yield line("SQS", f"{letters:,} dead letters", letters, "sqs_request")
    yield from _watching("stream", counted.calls + watched, sampled(counted.calls) + watched, prices)
    metrics = sum(len(one.get("DesiredShardLevelMetrics", ())) for one in stack.of("Kinesis::Stream")) * counted.shards
    yield line("CloudWatch", f"{metrics} metrics of {counted.shards} shards", metrics, "custom_metric_month")
    found = stack.alarm_queries * counted.shards
    yield line("CloudWatch", f"{found} metrics that alarms' queries find", found, "alarm_metric_month")


def archive_lines(events: Events, stack: StackTemplate, prices: Prices) -> tuple[Sequence[Line], Sequence[Made]]:
    if stack.parameters["Archive"] == "none" or not events.a_month:
        return (), ()
    dollars = prices.dollars
    size = events.a_month * events.size
    billed = events.a_month * math.ceil(events.size / 5_120) * 5_120 / 1e9
    folders = events.types if stack.parameters["ArchivePartition"] else 1
    between = MONTH / events.a_month
    by_time = min(folders * MONTH / (stack.number("ArchiveSeconds") + between), events.a_month)
    files = math.ceil(max(by_time, size / (stack.number("ArchiveMiB") * 2**20)))
    lines = [Line("Firehose", f"{billed:,.1f} GB in records of whole 5 KB", billed * dollars["firehose_gb"], "archive")]
    if stack.parameters["ArchivePartition"]:
        parted = billed * dollars["firehose_partitioned_gb"] + files * dollars["firehose_partitioned_object"]
        lines.append(Line("Firehose", f"{files:,} objects in folders", parted, "archive"))
    return lines, [Made(files, math.ceil(size / files / _GZIP), _GZIP)]


def message_lines(messages: Messages, stack: StackTemplate, prices: Prices) -> tuple[Sequence[Line], Sequence[Made]]:
    if stack.parameters["Messages"] == "none" or not messages.a_month:
        return (), ()
    number, in_order = messages.a_month, stack.parameters["Messages"] == "fifo"
    window = _PACKING if in_order else stack.number("MessagesWindowSeconds")
    most = min(10 if in_order else 10_000, _INVOCATION / (messages.size + 400))
    files = math.ceil(min(max(number / most, MONTH / (window + MONTH / number)), number))
    sent = number * math.ceil(max(messages.size, 1) / 65_536)
    requests = sent + 2 * max(math.ceil(sent / 10), files)
    price = prices.dollars["sqs_fifo_request" if in_order else "sqs_request"]
    gb_seconds = prices.rates["pack_messages"].seconds(files, number, 0) * stack.memory["pack_messages"]
    lines = [
        Line("SQS", f"{requests:,} requests", requests * price, "messages"),
        _lambda("messages", files, gb_seconds, stack, prices),
        *_watching("messages", files, sampled(files), prices),
    ]
    return lines, [Made(files, math.ceil(number * messages.size / files), 1)]


def shards_wanted(events: Events) -> int:
    """That take them if they come evenly."""
    return max(1, math.ceil(events.a_month / MONTH * max(events.size / _SHARD_BYTES, 1 / _SHARD_RECORDS)))


def _kinesis(events: Events, stack: StackTemplate, shards: int, prices: Prices) -> Iterator[Line]:
    dollars = prices.dollars

    def line(what: str, number: float, price: str) -> Line:
        return Line("Kinesis", what, number * dollars[price], "stream")

    if stack.parameters["Stream"] == "provisioned":
        units = events.a_month * math.ceil(max(events.size, 1) / 25_600)
        yield line(f"{shards} shards, by the hour", shards * HOURS, "kinesis_shard_hour")
        yield line(f"{units:,} PUT units", units, "kinesis_put_unit")
        return
    billed = events.a_month * math.ceil(max(events.size, 1) / 1024) * 1024 / 1e9
    readers = 1 + (stack.parameters["Archive"] == "stream")
    yield line("the stream on demand, by the hour", HOURS, "kinesis_stream_hour")
    yield line(f"{billed:,.2f} GB in, in records of whole KB", billed, "kinesis_gb_in")
    yield line(f"{readers * billed:,.2f} GB out", readers * billed, "kinesis_gb_out")


def _lambda(of: str, calls: int, gb_seconds: float, stack: StackTemplate, prices: Prices) -> Line:
    second = prices.dollars["lambda_gb_second_arm" if is_arm(stack) else "lambda_gb_second"]
    asked = calls * prices.dollars["lambda_request"] + gb_seconds * second
    return Line("Lambda", f"{calls:,} calls, {gb_seconds:,.1f} GB-s", asked, of)


def _watching(of: str, calls: int, traces: int, prices: Prices) -> Iterator[Line]:
    gigabytes = calls * LOG_BYTES_A_CALL / 1e9
    yield Line("Logs", f"{gigabytes:,.3f} GB", gigabytes * prices.dollars["log_gb"], of)
    yield Line("X-Ray", f"{traces:,} traces", traces * prices.dollars["trace"], of)


def is_arm(stack: StackTemplate) -> bool:
    return stack.parameters["Architecture"] == "arm64"
