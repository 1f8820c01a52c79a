"""What process_stream answers to a mapping: nothing, a record from which to come again, or an error."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.counts import FakeCounts

from penstock.adapters.sqs_poison import SqsPoison
from penstock.flows.process_stream import Processed, process_stream
from penstock.model.errors import PermanentError, TransientError
from penstock.model.stream_events import LONGEST_RAW, EventFields, Poison, Position, StreamRecord
from penstock.ports.counts import MOST, Tallies
from penstock.stream_batch import answer, batch_of

NOW = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
BATCH = Path(__file__).parents[2] / "events" / "stream-batch.json"
SHARD = "shardId-000000000001"


class Failing(FakeCounts):
    """Fails from the given transaction on."""

    def __init__(self, after: int, error: Exception) -> None:
        super().__init__()
        self.left, self.error, self.away = after, error, False

    def watermark(self, shard: str) -> Position:
        if self.away:
            raise TransientError("the table is away")
        return super().watermark(shard)

    def add(
        self,
        shard: str,
        after: Position,
        upto: Position,
        tallies: Tallies,
        ids: Collection[str],
        remembered: datetime | None,
    ) -> frozenset[str]:
        if self.left == 0:
            self.away = isinstance(self.error, TransientError) and "away" in str(self.error)
            raise self.error
        self.left -= 1
        return super().add(shard, after, upto, tallies, ids, remembered)


def record(number: int, events: int = 1) -> StreamRecord:
    lines = [{"event_id": f"{number}-{n}", "type": "UA", "at": NOW.isoformat()} for n in range(events)]
    return StreamRecord(str(number), b"".join(json.dumps(line).encode() + b"\n" for line in lines), "key")


def process(counts: FakeCounts, records: Sequence[StreamRecord], aside: list[Poison] | None = None) -> Processed:
    kept = [] if aside is None else aside
    return process_stream(counts, kept.extend, SHARD, records, EventFields(), NOW, timedelta(hours=1))


def test_poison_is_put_aside_with_what_it_holds_and_everything_else_is_counted() -> None:
    counts, aside = FakeCounts(), list[Poison]()
    poison = StreamRecord("2", record(7).data + b"no JSON\n" + record(8).data, "N14228")

    done = process(counts, [record(1), poison, record(3)], aside)

    assert answer(done.again) == {"batchItemFailures": []}
    assert done.counted is not None
    assert (done.counted.events, done.counted.poison) == (4, 1)
    [(sequence, line, raw, key)] = [(one.sequence, one.line, one.raw, one.key) for one in aside]
    assert (sequence, line, raw, key) == ("2", 2, b"no JSON", "N14228")


def test_items_that_were_written_are_told_and_those_of_a_refused_transaction_too() -> None:
    counts = FakeCounts()

    new = process(counts, [record(1, events=3)])
    repeated = process(counts, [StreamRecord("2", record(1).data + record(9).data, "key")])

    assert new.counted is not None
    assert new.counted.writes == 1 + 3 + 1, "a tally, three ids, the watermark"
    assert repeated.counted is not None
    assert repeated.counted.writes == (1 + 2 + 1) + (1 + 1 + 1)


def test_what_may_pass_is_tried_again_from_the_first_record_that_is_not_counted_whole() -> None:
    counts = Failing(1, TransientError("throttled"))
    room = MOST - 1  # The tally of their minute is the other action.
    whole, split = record(1, room - 10), record(2, 30)

    done = process(counts, [whole, split, record(3)])

    assert answer(done.again) == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    assert done.trouble == "throttled"
    counts.left = -1
    assert process(counts, [split, record(3)]).again == ""
    assert sum(counts.tallies.values()) == room - 10 + 30 + 1


@pytest.mark.parametrize("error", [TransientError("throttled"), TransientError("the table is away")])
def test_a_batch_of_which_nothing_is_counted_comes_again_whole(error: Exception) -> None:
    done = process(Failing(0, error), [record(1), record(2)])

    assert done.again == "1"


def test_what_nobody_expected_is_raised_so_that_the_mapping_halves_the_batch() -> None:
    with pytest.raises(ZeroDivisionError):
        process(Failing(0, ZeroDivisionError("a row's text")), [record(1), record(2)])


def test_what_nobody_expected_halves_only_what_is_not_counted_and_quotes_nothing() -> None:
    done = process(Failing(1, ZeroDivisionError("a row's text")), [record(1, MOST - 1), record(2)])

    assert (done.again, done.trouble) == ("2", "ZeroDivisionError")


def test_what_another_worker_has_counted_meanwhile_is_done() -> None:
    class Overtaken(FakeCounts):
        def add(self, *_: Any) -> frozenset[str]:
            self.watermarks[SHARD] = Position(2, 1)
            raise TransientError("another worker")

    assert process(Overtaken(), [record(1), record(2)]).again == ""


def test_a_batch_is_read_as_lambda_hands_it_over() -> None:
    batch = batch_of(json.loads(BATCH.read_text()))

    assert batch.stream.endswith(":stream/penstock-Stream")
    assert batch.shard == SHARD
    assert [one.key for one in batch.records] == ["N14228", "N24211"]
    assert batch.records[1].data == b"no JSON\n"


@pytest.mark.parametrize("event", [{}, {"Records": []}, {"Records": [{"eventSource": "aws:sqs", "body": ""}]}])
def test_what_is_no_batch_of_a_stream_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match="no batch of a Kinesis stream"):
        batch_of(event)


class Queue:
    def __init__(self, failed: list[dict[str, Any]] | None = None) -> None:
        self.failed = failed or []
        self.bodies: list[dict[str, Any]] = []
        self.requests: list[int] = []

    def send_message_batch(self, **asked: Any) -> dict[str, Any]:
        assert asked["QueueUrl"] == "url"
        self.requests.append(sum(len(entry["MessageBody"]) for entry in asked["Entries"]))
        assert all(entry["MessageBody"].isascii() for entry in asked["Entries"])
        assert len({entry["Id"] for entry in asked["Entries"]}) == len(asked["Entries"]) <= 10
        self.bodies += [json.loads(entry["MessageBody"]) for entry in asked["Entries"]]
        return {"Failed": self.failed}


def test_letters_hold_what_they_can_and_a_request_stays_within_what_sqs_takes() -> None:
    queue: Any = Queue()
    key = "\U0001f600\uffff" * 128  # As long as Kinesis has them, and with what SQS takes in no message.
    lines = [Poison(str(n), 1, "is no JSON", b"\xff" * (LONGEST_RAW + (n == 24)), key) for n in range(25)]

    SqsPoison(queue, "url").put_aside("arn:stream", SHARD, lines)

    assert [body["sequence"] for body in queue.bodies] == [str(n) for n in range(25)]
    assert b64decode(queue.bodies[0]["raw"]) == b"\xff" * LONGEST_RAW
    assert queue.bodies[24]["raw"] is None, "it is read back from the stream"
    assert queue.bodies[0]["key"] == key
    assert max(queue.requests) < 256 * 2**10


@pytest.mark.parametrize(("fault", "error"), [(True, PermanentError), (False, TransientError)])
def test_a_letter_that_sqs_does_not_take_lets_nothing_pass(fault: bool, error: type[Exception]) -> None:
    queue: Any = Queue([{"Id": "0", "SenderFault": fault, "Code": "Refused", "Message": "no"}])

    with pytest.raises(error, match="Refused"):
        SqsPoison(queue, "url").put_aside("arn:stream", SHARD, [Poison("1", 1, "is no JSON", b"x")])
