"""A file that kills every worker that reads it, by SIGKILL, on the whole template."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from tests.faults.campaign import LONGEST_WAIT
from tests.faults.deployment import FaultyStack

pytestmark = pytest.mark.xdist_group("faults")

FILES = 12
ATTEMPTS = 3
"""Two together and one alone: the fewest that show it, since each has three tries."""


@contextmanager
def few_attempts(faulty: FaultyStack) -> Iterator[None]:
    """The parameter MaxAttempts, where it arrives: the stack is shared with tests that want its default."""
    client, name = faulty.client("lambda"), faulty.function("SettleBatch")
    before = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    after = {**before, "PENSTOCK_MAX_ATTEMPTS": str(ATTEMPTS)}
    client.update_function_configuration(FunctionName=name, Environment={"Variables": after})
    try:
        yield
    finally:
        client.update_function_configuration(FunctionName=name, Environment={"Variables": before})


def test_a_file_that_kills_its_workers_is_quarantined_alone_and_costs_its_neighbours_some_time(
    faulty: FaultyStack,
) -> None:
    s3, bucket = faulty.client("s3"), faulty.deployment.bucket
    for number in range(FILES):
        body = f"id,sensor,value\npoison-{number},a,{number}\n"
        s3.put_object(Bucket=bucket, Key=f"incoming/readings/poison/{number:02}.csv", Body=body.encode())
    (faulty.folder / "poison").write_text("begin_load incoming/readings/poison/07.csv")

    rounds = 0
    with few_attempts(faulty):
        while faulty.left():
            rounds += 1
            assert rounds <= ATTEMPTS, "each round is an attempt"
            faulty.list_incoming()
            assert faulty.await_quiet(120)
            faulty.advance(LONGEST_WAIT)
    (faulty.folder / "poison").unlink()

    with psycopg.connect(faulty.stack.warehouse_dsn("owner")) as connection:
        loaded = connection.execute("SELECT count(*) FROM readings WHERE id LIKE 'poison-%'").fetchone()
        quarantined = connection.execute(
            "SELECT key, verdict FROM penstock.load WHERE key LIKE '%readings/poison/%' AND verdict <> 'loaded'"
        ).fetchall()
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="failed/readings/poison/")["Contents"]
    [reason_key] = [entry["Key"] for entry in listed if entry["Key"].endswith(".reason.json")]
    reason = json.loads(s3.get_object(Bucket=bucket, Key=reason_key)["Body"].read())["reason"]
    assert (faulty.folder / "poisoned").read_text() == "x" * ATTEMPTS * 3
    assert loaded == (FILES - 1,)
    assert quarantined == [("incoming/readings/poison/07.csv", "quarantined")]
    assert "It crashed its worker 3 times, at last alone in its batch" in reason
    assert not faulty.deployment.leases.waiting()
    assert not faulty.deployment.leases.breakers()


def test_a_file_that_kills_whoever_settles_it_is_settled_with_less_and_its_neighbours_as_ever(
    faulty: FaultyStack,
) -> None:
    s3, bucket = faulty.client("s3"), faulty.deployment.bucket
    good = "id,sensor,value\nsettle-{0},a,{0}\n"
    for number in range(4):
        s3.put_object(Bucket=bucket, Key=f"incoming/readings/settle/{number}.csv", Body=good.format(number).encode())
    body = good.format(4) + "settle-bad,a,many\n"
    version = s3.put_object(Bucket=bucket, Key="incoming/readings/settle/4.csv", Body=body.encode())["VersionId"]
    name = hashlib.blake2b(f"{bucket}\0incoming/readings/settle/4.csv\0{version}".encode(), digest_size=16).hexdigest()
    (faulty.folder / "poisoned").unlink(missing_ok=True)
    (faulty.folder / "poison").write_text(f"settle_batch failed/readings/settle/{name}-4.csv.rejects.jsonl")

    rounds = 0
    with few_attempts(faulty):
        while faulty.left():
            rounds += 1
            assert rounds <= ATTEMPTS + 3, "it has to come to an end"
            faulty.list_incoming()
            assert faulty.await_quiet(120)
            faulty.advance(LONGEST_WAIT)
    (faulty.folder / "poison").unlink()

    with psycopg.connect(faulty.stack.warehouse_dsn("owner")) as connection:
        loaded = connection.execute("SELECT count(*) FROM readings WHERE id LIKE 'settle-%'").fetchone()
    settled = s3.list_objects_v2(Bucket=bucket, Prefix="processed/readings/settle/")["Contents"]
    [reason_key] = [
        entry["Key"]
        for entry in s3.list_objects_v2(Bucket=bucket, Prefix="failed/readings/settle/")["Contents"]
        if entry["Key"].endswith(".reason.json")
    ]
    reason = json.loads(s3.get_object(Bucket=bucket, Key=reason_key)["Body"].read())["reason"]
    assert len((faulty.folder / "poisoned").read_text()) >= 3, "its settling was killed"
    assert loaded == (5,), "what was loaded stays loaded"
    assert len(settled) == 4
    assert name in reason_key
    assert "only to settle it have ended before they did" in reason
    assert not faulty.deployment.leases.waiting()
