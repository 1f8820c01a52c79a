"""Events by the stream's archive and by the queue, on the whole template: each is in the table, once."""

from __future__ import annotations

import gzip
import json
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from penstock.local import dead_letters
from penstock.local.deployment import local_deployment
from penstock.local.stack import LocalStack
from penstock.producer import Producer

DEADLINE = 90
DATASET = """\
name: {name}
prefix: {name}/
format: jsonl
columns:
  - {{name: event_id, type: text, required: true}}
  - {{name: type, type: text}}
  - {{name: n, type: integer}}
table: {name}
event_id: event_id
max_reject_ratio: 0.5
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    root = tmp_path_factory.mktemp("front-doors")
    for name in ("events", "messages"):
        (root / f"{name}.yaml").write_text(DATASET.format(name=name))
    (root / "views").mkdir()
    wanted = {"Stream": "provisioned", "StreamShards": "2", "Archive": "stream", "ArchiveSeconds": "1"}
    with LocalStack.temporary("doors", datasets=root, parameters={**wanted, "Messages": "standard"}) as made:
        yield made
    shutil.rmtree(root)


def until(there: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE
    while not (found := there()):
        assert time.monotonic() < deadline, f"not after {DEADLINE} s"
        time.sleep(0.1)
    return found


def ask(stack: LocalStack, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(stack.warehouse_dsn("owner")) as connection:
        return connection.execute(query).fetchall()


def loaded(stack: LocalStack, table: str) -> tuple[int, int, int]:
    """Rows, repeats and rejects that the ledger counts."""
    counted = f"SELECT sum(rows), sum(repeats), sum(rejects) FROM penstock.load WHERE target = 'public.{table}'"
    [(rows, repeats, rejects)] = ask(stack, counted)
    return int(rows or 0), int(repeats or 0), int(rejects or 0)


def event(number: int) -> dict[str, Any]:
    return {"event_id": f"e{number}", "type": "click", "n": number, "at": "2013-01-01T10:00:00Z"}


def test_every_event_of_the_stream_is_archived_and_in_the_table_once(stack: LocalStack) -> None:
    stream, kinesis = stack.outputs["StreamName"], stack.client("kinesis")
    with Producer(stream, client=kinesis, aggregate=2_000) as producer:
        for number in range(500):
            producer.put(event(number), key=f"{number % 7}")
            if number % 5 == 0:
                producer.put(event(number), key=f"{number % 3}")  # Again, perhaps in another shard.
    for number, before in ((500, b""), (501, b"no JSON\n")):  # Without a newline at the end.
        kinesis.put_record(StreamName=stream, Data=before + json.dumps(event(number)).encode(), PartitionKey="one")

    until(lambda: sum(loaded(stack, "events")) >= 603)

    assert loaded(stack, "events") == (502, 100, 1)
    assert ask(stack, "SELECT count(*), count(DISTINCT event_id), sum(n) FROM events") == [(502, 502, sum(range(502)))]
    archived = until(lambda: list(_objects(stack, "processed/events/")))
    for key, body in archived:
        assert key.split("/")[2:5] == time.strftime("%Y/%m/%d", time.gmtime()).split("/")
        assert key.endswith(".jsonl.gz")
        assert gzip.decompress(body).endswith(b"\n")


def test_messages_of_the_queue_are_packed_acknowledged_and_in_the_table_once(stack: LocalStack) -> None:
    sqs, queue = stack.client("sqs"), stack.outputs["MessagesQueueUrl"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})
    bodies = [json.dumps(event(number % 40), indent=1) for number in range(60)]
    bodies += [json.dumps({"type": "nameless", "n": 7})] * 2 + ["no JSON"]
    for at in range(0, len(bodies), 10):
        entries = [{"Id": f"{at + n}", "MessageBody": body} for n, body in enumerate(bodies[at : at + 10])]
        assert not sqs.send_message_batch(QueueUrl=queue, Entries=entries).get("Failed")

    until(lambda: loaded(stack, "messages")[0] >= 42 and sum(loaded(stack, "messages")) >= 62)

    [(rows, ids)] = ask(stack, "SELECT count(*), count(DISTINCT event_id) FROM messages WHERE type = 'click'")
    assert (rows, ids) == (40, 40)
    assert ask(stack, "SELECT n FROM messages WHERE type = 'nameless'") == [(7,), (7,)], "two messages, two events"
    rows, repeats, rejects = loaded(stack, "messages")
    assert (rows, rejects) == (42, 0)
    assert repeats >= 20, "more where a message was delivered twice, which is what the visibility of a second invites"
    deployment = local_deployment(stack)
    [letter] = until(lambda: [one for one in dead_letters.read(deployment, 10) if one.queue == "messages"])
    assert letter.texts() == ["no JSON"]
    assert letter.why.startswith("it is no JSON")
    left = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert (left["ApproximateNumberOfMessages"], left["ApproximateNumberOfMessagesNotVisible"]) == ("0", "0")


def test_a_message_that_was_given_up_is_put_back_as_the_event_that_it_was(stack: LocalStack) -> None:
    deployment, body = local_deployment(stack), json.dumps({"type": "late", "n": 1})
    letters = stack.outputs["MessagesDeadLetterQueueUrl"]
    sent = stack.client("sqs").send_message(QueueUrl=letters, MessageBody=body)["MessageId"]

    done, _ = dead_letters.redrive(deployment, 10)

    assert [one.why for one in done if one.id == sent] == ["it could not be packed: PackMessages' log says why"]
    assert until(lambda: ask(stack, "SELECT event_id FROM messages WHERE type = 'late'")) == [(sent,)]


def _objects(stack: LocalStack, prefix: str) -> Iterator[tuple[str, bytes]]:
    s3 = stack.client("s3")
    for found in s3.list_objects_v2(Bucket=stack.bucket, Prefix=prefix).get("Contents", []):
        yield found["Key"], s3.get_object(Bucket=stack.bucket, Key=found["Key"])["Body"].read()
