"""Logs, states and messages of whole runs: whose they are stands in keys, and no row or secret is in any of them."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator

import pytest
from tests.integration.conftest import PASSWORD
from tests.integration.operating import ask, at_rest, keys, put
from tests.integration.processes import eventually

from penstock.local.stack import LocalStack
from penstock.model.arrivals import arrival_id_of

MARK = "Zaphod4711"
"""Of a row that nobody may read but in the table, the index and the rejects."""
GOOD = f"id,name\n1,{MARK}\n".encode()
FILES = {
    "good.csv": GOOD,
    "rejected.csv": f"id,name\n2,{MARK}\n{MARK},three\n".encode(),
    "too many.csv": f"id,name\n{MARK},four\n{MARK},five\n".encode(),
    "no header.csv": f"6,{MARK}\n".encode(),
    "columns.csv": f"id,name\n7,{MARK},{MARK}\n".encode(),
    "quote.csv": f'id,name\n8,"{MARK}\n'.encode(),
    "latin.csv": f"id,name\n9,{MARK}\u00eb\n".encode("latin-1"),
    "cut.csv.gz": gzip.compress(GOOD * 99)[:-9],
}
BY_BATCH = {"begin_load", "poll_load", "index_batch", "settle_batch", "work_parquet"}
BY_RUN = {"summarise_run", "rebuild_views", "kick_off"}


@pytest.fixture
def messages(stack: LocalStack) -> Iterator[str]:
    """The URL of a queue that gets what the topic says."""
    sns, sqs, topic = stack.client("sns"), stack.client("sqs"), stack.outputs["RunTopicArn"]
    url = sqs.create_queue(QueueName=f"read-{uuid.uuid4().hex}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    there = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    yield url
    sns.unsubscribe(SubscriptionArn=there["SubscriptionArn"])
    sqs.delete_queue(QueueUrl=url)


def lines(stack: LocalStack) -> Iterator[tuple[str, str]]:
    """Each line of each function's log, with the function's name, as `begin_load`."""
    logs = stack.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=name):
            yield from ((name.rpartition("/")[2], event["message"]) for event in page["events"])


def states(stack: LocalStack) -> Iterator[str]:
    """What each execution was given, has answered, and went through."""
    machines = stack.client("stepfunctions")
    for machine in machines.list_state_machines()["stateMachines"]:
        for one in machines.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]:
            arn = one["executionArn"]
            yield json.dumps(machines.describe_execution(executionArn=arn), default=str)
            for page in machines.get_paginator("get_execution_history").paginate(executionArn=arn):
                yield json.dumps(page["events"], default=str)


def said(stack: LocalStack, url: str) -> Iterator[str]:
    sqs = stack.client("sqs")
    while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in found:
            yield message["Body"]
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def kept(stack: LocalStack) -> Iterator[str]:
    """Leases, attempts and runs."""
    for page in stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs["LeaseTable"]):
        yield json.dumps(page["Items"], default=str)


def content(stack: LocalStack, key: str) -> str:
    body: bytes = stack.client("s3").get_object(Bucket=stack.bucket, Key=key)["Body"].read()
    return body.decode()


def test_each_line_says_whose_it_is_and_none_quotes_a_row_or_a_secret(stack: LocalStack, messages: str) -> None:
    for where in ("watched", "searched", "unwatched"):  # No dataset claims the last.
        for name, body in FILES.items():
            put(stack, f"{where}/{name}", body)
    assert eventually(lambda: at_rest(stack) and len(keys(stack, "failed/_unclaimed/unwatched/")) == 2 * len(FILES))

    logged, failed = list(lines(stack)), keys(stack, "failed/")
    written = {
        "a log": [line for _, line in logged],
        "a state": list(states(stack)),
        "a message": list(said(stack, messages)),
        "the lease table": list(kept(stack)),
        "a reason": [content(stack, key) for key in failed if key.endswith(".reason.json")],
    }

    assert ask(stack, f"SELECT count(*) FROM watched WHERE name = '{MARK}'") == [(2,)]
    assert any(MARK in content(stack, key) for key in failed if key.endswith(".rejects.jsonl"))
    for where, texts in written.items():
        assert texts, where
        for text in texts:
            assert MARK not in text, f"{where} quotes a row: {text}"
            assert PASSWORD not in text, f"{where} has the password: {text}"

    runs = {key.split("/")[1] for key in keys(stack, "plans/") if key.endswith("/plan.json")}
    settled = {arrival_id_of(key): key for key in [*keys(stack, "processed/"), *failed]}
    told = [(function, json.loads(line)) for function, line in logged if line.startswith('{"level"')]
    for function, line in told:
        if function in BY_BATCH | BY_RUN:
            assert line.get("run") in runs, (function, line)
        if function in BY_BATCH:
            assert "batch" in line, (function, line)
        text = json.dumps(line)
        for arrival in settled:
            assert arrival not in text or line.get("arrival") == arrival, (function, line)
        for one in runs:
            assert one not in text or line.get("run") == one, (function, line)
    assert {function for function, _ in told} | {"poll_load", "work_parquet"} >= BY_BATCH
    given_up = {arrival_id_of(key) for key in failed if key.endswith(".reason.json")}
    assert given_up <= {line["arrival"] for _, line in told if "arrival" in line}
