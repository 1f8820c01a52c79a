"""The stream's dead letters: what they hold, read back where need be, and how it gets into the stream again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.unit.test_dead_letters import OUTPUTS, Account, letter

from penstock.adapters.sqs_poison import KIND, SqsPoison
from penstock.local.dead_letters import QUEUES, read, redrive
from penstock.local.deployment import Deployment
from penstock.model.stream_events import LONGEST_RAW, Poison

QUEUE = "https://sqs/123456789012/penstock-StreamDead"
ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/penstock-Stream"
SHARD = "shardId-000000000001"


@dataclass
class WithAStream(Account):
    """Its shard has records of the numbers from 100 on, of which those below `kept` have expired."""

    records: list[tuple[str, bytes]] = field(default_factory=list)
    kept: int = 100
    page: int = 1
    refuses: bool = False
    dedupe: int = 60

    def get_shard_iterator(self, **asked: Any) -> dict[str, Any]:
        assert (asked["StreamName"], asked["ShardId"]) == ("penstock-Stream", SHARD)
        assert asked["ShardIteratorType"] == "AT_SEQUENCE_NUMBER"
        if self.refuses:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetShardIterator")
        return {"ShardIterator": f"{max(self.kept, int(asked['StartingSequenceNumber']))} empty"}

    def get_records(self, ShardIterator: str) -> dict[str, Any]:  # noqa: N803 - As boto3 has it.
        start, _, empty = ShardIterator.partition(" ")
        if empty:  # An answer may hold nothing though there is more.
            return {"Records": [], "NextShardIterator": start, "MillisBehindLatest": 1}
        end = min(int(start) + self.page, 100 + len(self.records))
        there = [(n, *self.records[n - 100]) for n in range(int(start), end)]
        return {
            "Records": [{"SequenceNumber": str(n), "PartitionKey": key, "Data": data} for n, key, data in there],
            "NextShardIterator": str(end),
            "MillisBehindLatest": 0,
        }

    def put_record(self, **asked: Any) -> None:
        assert asked["StreamName"] == "penstock-Stream"
        self.log.append(("put", (asked["PartitionKey"], asked["Data"])))

    def send_message_batch(self, **asked: Any) -> dict[str, Any]:
        for entry in asked["Entries"]:
            made = {"MessageId": entry["Id"], "ReceiptHandle": entry["Id"], "Body": entry["MessageBody"]}
            self.queues.setdefault(asked["QueueUrl"], []).append(made)
        return {}

    def put_aside(self, *lines: Poison) -> None:
        client: Any = self
        SqsPoison(client, QUEUE).put_aside(ARN, SHARD, lines)

    @property
    def deployment(self) -> Deployment:
        outputs = {**OUTPUTS, QUEUES["stream"]: QUEUE, "StreamName": "penstock-Stream"}
        parameters = {"StreamDedupeMinutes": str(self.dedupe), "StreamRetentionHours": "24"}
        return Deployment("penstock", "a test", outputs, lambda _: self, lambda _: "", parameters=parameters)


LINE = {"stream": ARN, "shard": SHARD, "line": 1, "key": "N14228", "why": "is no JSON", "raw": "bm8gSlNPTg=="}
RECORDS = [("a", b"one\n"), ("b", b"two\n"), ("c", b"three\n"), ("d", b"four\n"), ("e", b"five\n")]


def given_up(records: Sequence[tuple[str, bytes]] = RECORDS, **more: Any) -> WithAStream:
    return WithAStream(queues={QUEUE: [letter("dead-letter-stream.json")]}, records=list(records), **more)


def test_a_line_that_is_no_event_says_where_it_stood_why_and_what_it_holds() -> None:
    account = WithAStream()
    account.put_aside(Poison("102", 3, "is no JSON", b"no \xff JSON", "N14228"))

    [found] = read(account.deployment, 10)

    assert found.source == f"stream penstock-Stream, {SHARD}, record 102, line 3"
    assert found.why == "is no JSON"
    assert found.texts() == ["no \\xff JSON"]
    redrive(account.deployment, 10)
    assert account.log == [("put", ("N14228", b"no \xff JSON\n")), ("delete", "0")]


def test_a_line_that_is_still_no_event_comes_back_as_a_letter_for_the_next_redrive() -> None:
    class Counted(WithAStream):
        """What is put into the stream is put aside at once."""

        def put_record(self, **asked: Any) -> None:
            super().put_record(**asked)
            number = f"{len(self.log)}"
            again = {"Id": number, "MessageBody": json.dumps({"penstock": KIND, **LINE, "sequence": number})}
            self.send_message_batch(QueueUrl=QUEUE, Entries=[again])

    account = Counted()
    account.put_aside(Poison("102", 3, "is no JSON", b"no JSON", "N14228"))

    done, left = redrive(account.deployment, 10)

    assert (len(done), left) == (1, [])
    assert len(account.queues[QUEUE]) == 1


def test_a_line_too_long_for_its_letter_is_read_back() -> None:
    long = b"x" * (LONGEST_RAW + 1)
    account = WithAStream(records=[*RECORDS, ("N14228", b"{}\n" + long + b"\n{}\n")])
    account.put_aside(Poison("105", 2, "is no JSON", long, "N14228"))

    redrive(account.deployment, 10)

    assert account.log[0] == ("put", ("N14228", long + b"\n"))


@pytest.mark.parametrize("page", [1, 2, 100])
def test_what_was_given_up_is_read_back_whole_and_put_again_under_its_keys(page: int) -> None:
    account = given_up(page=page)

    [found] = read(account.deployment, 10)

    assert found.source.startswith(
        f"stream penstock-Stream, {SHARD}, 2 records from 102, that arrived 2026-01-15T10:01"
    )
    assert found.why.startswith("RetryAttemptsExhausted after 21 invocations")
    assert found.texts() == ["three", "four"]
    redrive(account.deployment, 10, may_count_twice=True)
    assert account.log == [("put", ("c", b"three\n")), ("put", ("d", b"four\n")), ("delete", "AQEBstream")]


@pytest.mark.parametrize(
    ("dedupe", "minutes_ago", "doubted"),
    [(60, 40, False), (60, 50, True), (60, 3_000, True), (1_440, 1_400, False), (0, 1, True)],
)
def test_what_may_be_counted_and_forgotten_is_put_again_only_where_it_may_count_twice(
    dedupe: int, minutes_ago: int, doubted: bool
) -> None:
    account = given_up(dedupe=dedupe)
    body = json.loads(account.queues[QUEUE][0]["Body"])
    came = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    body["KinesisBatchInfo"]["approximateArrivalOfFirstRecord"] = came.isoformat()
    account.queues[QUEUE][0]["Body"] = json.dumps(body)

    done, left = redrive(account.deployment, 10)

    assert ([len(done), len(left)], len(account.log)) == (([0, 1], 0) if doubted else ([1, 0], 3))
    if doubted:
        assert f"{came:%Y-%m-%d %H:%M} UTC" in left[0].then
        assert "redrive --may-count-twice" in left[0].then
        assert account.hidden == set(), "it is given back"
        [forced], [] = redrive(account.deployment, 10, may_count_twice=True)
        assert forced.then == "put it into the stream again"
        assert [what for what, _ in account.log] == ["put", "put", "delete"]


@pytest.mark.parametrize("gone", [{"kept": 103}, {"refuses": True}, {"records": RECORDS[:1]}])
def test_what_the_stream_keeps_no_more_is_said_and_its_letter_stays(gone: dict[str, Any]) -> None:
    account = given_up(**gone)

    [text] = read(account.deployment, 10)[0].texts()
    done, [left] = redrive(account.deployment, 10, may_count_twice=True)

    assert "retention has ended" in text
    assert (done, account.log, left.redrive) == ([], [], None)
    assert "retention has ended" in left.then
    assert account.queues[QUEUE]
    assert account.hidden == set()


def test_a_letter_of_another_stream_is_not_put_into_this_one() -> None:
    account = given_up()
    account.queues[QUEUE][0]["Body"] = account.queues[QUEUE][0]["Body"].replace("/penstock-Stream", "/penstock-Old")

    done, [left] = redrive(account.deployment, 10)

    assert (done, account.log) == ([], [])
    assert "not this stack's" in left.then
