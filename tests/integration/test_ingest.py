"""The whole of it: a file is put, and its rows and documents are there, once."""

from __future__ import annotations

import psycopg
from tests.integration.processes import eventually

from penstock.local.stack import LocalStack

AIRLINES = b'carrier,name\n"AA","American Airlines Inc."\n"UA","United Air Lines Inc."\n'


def keys(stack: LocalStack, prefix: str) -> list[str]:
    listed = stack.client("s3").list_objects_v2(Bucket=stack.bucket, Prefix=prefix)
    return [entry["Key"] for entry in listed.get("Contents", [])]


def test_a_file_that_is_put_becomes_rows_and_moves_to_processed(local_stack: LocalStack) -> None:
    name = "2013/us carriers+more%20.csv"

    local_stack.client("s3").put_object(Bucket=local_stack.bucket, Key=f"incoming/airlines/{name}", Body=AIRLINES)

    assert eventually(lambda: len(keys(local_stack, "processed/airlines/2013/")) == 1)
    assert eventually(lambda: keys(local_stack, "incoming/airlines/2013/") == [])
    with psycopg.connect(local_stack.warehouse_dsn("owner")) as connection:
        rows = connection.execute("SELECT carrier, name FROM public.airlines ORDER BY carrier").fetchall()
        ledger = connection.execute("SELECT count(*) FROM penstock.load WHERE key = %s", [f"incoming/airlines/{name}"])
        assert rows == [("AA", "American Airlines Inc."), ("UA", "United Air Lines Inc.")]
        assert ledger.fetchone() == (1,)


def test_a_file_that_no_dataset_claims_moves_to_failed_with_its_reason(local_stack: LocalStack) -> None:
    local_stack.client("s3").put_object(Bucket=local_stack.bucket, Key="incoming/strangers/a.csv", Body=b"a\n1\n")

    assert eventually(lambda: len(keys(local_stack, "failed/")) >= 2)
    assert eventually(lambda: keys(local_stack, "incoming/strangers/") == [])
    assert any(key.endswith(".reason.json") for key in keys(local_stack, "failed/"))
