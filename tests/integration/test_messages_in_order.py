"""A FIFO queue on the whole template: each group in its order in the files, each message in the table once."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from penstock.local import dead_letters
from penstock.local.deployment import local_deployment
from penstock.local.stack import LocalStack

DEADLINE = 90
GROUPS, EACH = ("a", "b", "c"), 9
DATASET = """\
name: messages
prefix: messages/
format: jsonl
columns:
  - {name: event_id, type: text, required: true}
  - {name: kind, type: text}
  - {name: n, type: integer}
table: messages
event_id: event_id
"""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    (tmp_path / "messages.yaml").write_text(DATASET)
    (tmp_path / "views").mkdir()
    with LocalStack.temporary("in-order", datasets=tmp_path, parameters={"Messages": "fifo"}) as made:
        yield made


class Queue:
    def __init__(self, stack: LocalStack) -> None:
        self._sqs, self.url = stack.client("sqs"), stack.outputs["MessagesQueueUrl"]

    def send(self, group: str, body: str, once: str) -> None:
        wanted = {"MessageGroupId": group, "MessageDeduplicationId": once}
        self._sqs.send_message(QueueUrl=self.url, MessageBody=body, **wanted)

    def set(self, **attributes: str) -> None:
        self._sqs.set_queue_attributes(QueueUrl=self.url, Attributes=attributes)

    def receivable(self, times: int) -> None:
        there = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["RedrivePolicy"])["Attributes"]
        self.set(RedrivePolicy=json.dumps(json.loads(there["RedrivePolicy"]) | {"maxReceiveCount": times}))

    def holds(self) -> int:
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        there = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(number) for number in there.values())


def until(there: Callable[[], Any]) -> Any:
    """The engine's mapping tells nobody that it has invoked the function."""
    deadline = time.monotonic() + DEADLINE
    while not (found := there()):
        assert time.monotonic() < deadline, f"not after {DEADLINE} s"
        time.sleep(0.1)
    return found


def event(group: str, number: int) -> str:
    return json.dumps({"event_id": f"{group}{number}", "kind": group, "n": number}, indent=1)


def files(stack: LocalStack) -> list[list[dict[str, Any]]]:
    """The lines of each object that was ever packed, wherever its run has moved it since."""
    s3 = stack.client("s3")
    versions = s3.list_object_versions(Bucket=stack.bucket, Prefix="incoming/messages/").get("Versions", [])
    moved = s3.list_objects_v2(Bucket=stack.bucket, Prefix="processed/messages/").get("Contents", [])
    keys = {one["Key"].split("/")[-1].partition("--")[0]: one["Key"] for one in [*versions, *moved]}
    bodies = [s3.get_object(Bucket=stack.bucket, Key=key)["Body"].read() for key in keys.values()]
    return [[json.loads(line) for line in body.splitlines()] for body in bodies]


def rows(stack: LocalStack) -> list[tuple[str, int, int]]:
    query = "SELECT kind, count(*), count(DISTINCT event_id) FROM messages GROUP BY kind ORDER BY kind"
    with psycopg.connect(stack.warehouse_dsn("owner")) as connection:
        return connection.execute(query).fetchall()


def prefix(stack: LocalStack, name: str) -> None:
    """Where PackMessages writes to; nothing: then it fails."""
    functions = stack.client("lambda")
    [function] = [one for one in functions.list_functions()["Functions"] if "PackMessages" in one["FunctionName"]]
    variables = function["Environment"]["Variables"] | {"PENSTOCK_MESSAGES_PREFIX": name}
    functions.update_function_configuration(FunctionName=function["FunctionName"], Environment={"Variables": variables})


def test_groups_keep_their_order_repeats_are_none_and_nothing_is_acknowledged_before_its_object_is_there(
    stack: LocalStack,
) -> None:
    queue = Queue(stack)
    queue.set(VisibilityTimeout="1")
    queue.receivable(1_000)
    prefix(stack, "")
    for number in range(EACH):
        for group in GROUPS:
            for _ in range(2):  # The second is the queue's own to drop.
                queue.send(group, event(group, number), f"{group}-{number}")
    until(lambda: "PENSTOCK_MESSAGES_PREFIX is not set" in logged(stack))

    assert queue.holds() == EACH * len(GROUPS), "a function that fails acknowledges nothing"
    assert files(stack) == []

    prefix(stack, "messages/")
    until(lambda: rows(stack) == [(group, EACH, EACH) for group in GROUPS])
    until(lambda: not queue.holds())
    found = files(stack)
    assert sum(map(len, found)) >= EACH * len(GROUPS), "more where a message was delivered twice"
    assert max(map(len, found)) <= 10
    for lines in found:
        orders: dict[str, list[int]] = defaultdict(list)
        for line in lines:
            orders[line["kind"]].append(line["n"])
        assert all(order == sorted(order) for order in orders.values())

    queue.receivable(2)
    queue.send("a", "no JSON", "poison")
    for group in ("a", "b"):
        queue.send(group, event(group, EACH), f"{group}-{EACH}")
    until(lambda: rows(stack) == [("a", EACH + 1, EACH + 1), ("b", EACH + 1, EACH + 1), ("c", EACH, EACH)])
    deployment = local_deployment(stack)
    [letter] = until(lambda: dead_letters.read(deployment, 10))
    assert letter.texts() == ["no JSON"]
    assert letter.why.startswith("it is no JSON")
    until(lambda: not queue.holds())


def logged(stack: LocalStack) -> str:
    logs = stack.client("logs")
    [group] = [
        one["logGroupName"]
        for one in logs.describe_log_groups()["logGroups"]
        if one["logGroupName"].endswith("pack_messages")
    ]
    return " ".join(one["message"] for one in logs.filter_log_events(logGroupName=group)["events"])
