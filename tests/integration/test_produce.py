"""`penstock produce` on a stream of the laptop's engine."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from penstock.cli.app import app
from penstock.local.deployment import Deployment, local_deployment
from penstock.local.stack import LocalStack


@pytest.fixture
def kinesis(local_stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Any:
    def here(_: str, *, aws: bool) -> Deployment:
        assert not aws
        return local_deployment(local_stack)  # A temporary stack has no name by which it could be found.

    monkeypatch.setattr("penstock.cli.produce.deployment", here)
    return local_stack.client("kinesis")


@pytest.fixture
def stream(kinesis: Any) -> Iterator[str]:
    name = f"clicks-{uuid.uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=name, ShardCount=2)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    yield name
    kinesis.delete_stream(StreamName=name)


def shards(kinesis: Any, stream: str) -> list[list[dict[str, Any]]]:
    found = []
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        where = {"StreamName": stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        at = kinesis.get_shard_iterator(**where)["ShardIterator"]
        records = kinesis.get_records(ShardIterator=at, Limit=10_000)["Records"]
        found.append([json.loads(line) for record in records for line in record["Data"].splitlines()])
    return found


def produce(*arguments: str) -> tuple[int, dict[str, Any]]:
    ran = CliRunner().invoke(app, ["produce", *arguments, "--json"])
    return ran.exit_code, json.loads(ran.stdout) if ran.stdout else {}


@pytest.mark.parametrize("aggregate", ["0", "5000"])
def test_every_line_arrives_once_in_the_order_of_its_key(
    kinesis: Any, stream: str, tmp_path: Path, aggregate: str
) -> None:
    path = tmp_path / "clicks.jsonl"
    path.write_text("".join(json.dumps({"n": n, "user": f"u{n % 40}"}) + "\n" for n in range(1_000)))

    code, said = produce(str(path), "--stream", stream, "--key", "user", "--aggregate", aggregate)

    assert (code, said["sent"]) == (0, 1_000)
    there = shards(kinesis, stream)
    assert sorted(event["n"] for shard in there for event in shard) == list(range(1_000))
    for shard in there:
        for user in {event["user"] for event in shard}:
            numbers = [event["n"] for event in shard if event["user"] == user]
            assert numbers == sorted(numbers)
    assert all(there), "both shards have some"


def test_lines_that_are_no_events_are_named_and_the_others_sent(kinesis: Any, stream: str, tmp_path: Path) -> None:
    path = tmp_path / "clicks.jsonl"
    path.write_text('{"user": "a"}\nno json\n{"page": "/"}\n')

    code, said = produce(str(path), "--stream", stream, "--key", "user")

    assert (code, said["sent"]) == (1, 1)
    assert [fault.partition("clicks.jsonl:")[2][:2] for fault in said["refused"]] == ["2:", "3:"]


def test_a_file_that_is_followed_says_at_once_which_line_is_none(
    kinesis: Any, stream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clicks.jsonl"
    path.write_text('{"n": 1}\nno json\n{"n": 3}\n')

    def ctrl_c(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("penstock.cli.produce.time", SimpleNamespace(sleep=ctrl_c))
    ran = CliRunner().invoke(app, ["produce", str(path), "--follow", "--stream", stream, "--json"])

    assert ran.exit_code == 1
    assert json.loads(ran.stdout)["sent"] == 2
    assert "clicks.jsonl:2: is no JSON" in ran.stderr.replace("\n", "")


def test_a_stream_that_is_not_there_leaves_the_events_on_disk(kinesis: Any, tmp_path: Path) -> None:
    path = tmp_path / "clicks.jsonl"
    path.write_text('{"n": 1}\n')

    code, said = produce(str(path), "--stream", "nowhere", "--spill", str(tmp_path / "spill"))

    assert (code, said["sent"], said["on_disk"]) == (1, 0, 1)
