"""The stream on the whole template: what a producer sends, twice or not, is counted once; what is no event is found."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from penstock.cli.app import app
from penstock.local.deployment import Deployment, local_deployment
from penstock.local.stack import LocalStack
from penstock.producer import Producer

DEADLINE = 90
TEN = datetime(2013, 1, 1, 10, 0, tzinfo=UTC)
SPAN = ("--since", "2013-01-01T10:00Z", "--until", "2013-01-01T12:00Z")


@pytest.fixture
def deployment(local_stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    found = local_deployment(local_stack)
    for command in ("counts", "dead_letters", "produce"):  # A temporary stack has no name by which it could be found.
        monkeypatch.setattr(f"penstock.cli.{command}.deployment", lambda *_, **__: found)
    yield found
    found.client("sqs").purge_queue(QueueUrl=found.outputs["StreamDeadLetterQueueUrl"])


def penstock(*arguments: str) -> Any:
    ran = CliRunner().invoke(app, [*arguments, "--json"])
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def counted(kinds: set[str]) -> Counter[tuple[str, str]]:
    found = penstock("counts", *sorted(kinds), *SPAN)
    return Counter({(kind, at): events for kind, minutes in found.items() for at, events in minutes.items()})


def letters() -> list[dict[str, Any]]:
    return [one for one in penstock("dead-letters", "show")["dead_letters"] if one["queue"] == "stream"]


def until(there: Callable[[], Any]) -> Any:
    """The engine's mapping tells nobody that it has invoked the function."""
    deadline = time.monotonic() + DEADLINE
    while not (found := there()):
        assert time.monotonic() < deadline, f"not after {DEADLINE} s"
        time.sleep(0.1)
    return found


def event(kind: str, number: int) -> dict[str, str]:
    return {"event_id": f"{kind}-{number}", "type": kind, "at": (TEN + timedelta(seconds=number)).isoformat()}


def test_counts_are_the_truth_and_a_poison_record_is_found_readable_while_the_rest_goes_on(
    deployment: Deployment,
) -> None:
    stream, kinesis = deployment.outputs["StreamName"], deployment.client("kinesis")
    kinds = {f"{name}-{uuid.uuid4().hex[:6]}" for name in ("UA", "AA", "DL")}
    truth: Counter[tuple[str, str]] = Counter()
    with Producer(stream, client=kinesis, aggregate=5_000) as producer:
        for kind in sorted(kinds):
            for number in range(300):
                producer.put(event(kind, number), key=f"{kind}-{number % 7}")
                if number % 5 == 0:
                    producer.put(event(kind, number), key=f"{kind}-{number % 3}")  # Again, perhaps in another shard.
                truth[kind, (TEN + timedelta(minutes=number // 60)).isoformat()] += 1
                if number == 150:
                    kinesis.put_record(StreamName=stream, Data=f"no JSON of {kind}\n".encode(), PartitionKey=kind)

    until(lambda: counted(kinds) == truth)
    found = until(lambda: there if len(there := letters()) == len(kinds) else None)

    assert kinds <= penstock("counts", *SPAN).keys()
    assert {text for letter in found for text in letter["holds"]} == {f"no JSON of {kind}" for kind in kinds}
    assert all("is no JSON" in letter["why"] for letter in found)
    penstock("dead-letters", "redrive")
    until(lambda: len(letters()) == len(kinds))  # It went through the stream again, and is still no event.
    assert counted(kinds) == truth


def test_what_lambda_gave_up_is_read_back_from_the_stream_and_counted_once_when_it_is_put_again(
    deployment: Deployment,
) -> None:
    stream, kinesis = deployment.outputs["StreamName"], deployment.client("kinesis")
    kind, after = f"B6-{uuid.uuid4().hex[:6]}", f"after-{uuid.uuid4().hex[:6]}"
    put = [
        kinesis.put_record(StreamName=stream, Data=json.dumps(event(kind, n)).encode() + b"\n", PartitionKey=kind)
        for n in range(3)
    ]
    minute = TEN.isoformat()
    until(lambda: counted({kind}) == {(kind, minute): 3})
    batch = {  # As Lambda's destination has it; the engine's mapping has none.
        "shardId": put[0]["ShardId"],
        "startSequenceNumber": put[1]["SequenceNumber"],
        "endSequenceNumber": put[2]["SequenceNumber"],
        "approximateArrivalOfFirstRecord": datetime.now(UTC).isoformat(),
        "batchSize": 2,
        "streamArn": kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"],
    }
    told = {"requestContext": {"condition": "RetryAttemptsExhausted"}, "KinesisBatchInfo": batch}
    queue = deployment.outputs["StreamDeadLetterQueueUrl"]
    deployment.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(told))

    [letter] = letters()
    redriven = penstock("dead-letters", "redrive")["redriven"]
    kinesis.put_record(StreamName=stream, Data=json.dumps(event(after, 0)).encode() + b"\n", PartitionKey=kind)

    assert [json.loads(text) for text in letter["holds"]] == [event(kind, 1), event(kind, 2)]
    assert [one["id"] for one in redriven] == [letter["id"]]
    until(lambda: counted({after}) == {(after, minute): 1})  # Of the same shard, behind them.
    assert counted({kind}) == {(kind, minute): 3}, "they were counted before, and are known by their ids"
    assert letters() == []
