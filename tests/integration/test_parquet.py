"""Parquet through the whole template, permissions enforced: into a table and an index, and into an index alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.corpus.parquet_files import parquet
from tests.integration.processes import eventually

from penstock.adapters.opensearch import OpenSearchIndex
from penstock.adapters.opensearch_client import make_client
from penstock.local.stack import LocalStack

DATASET = """
name: {name}
prefix: {name}/
format: parquet
columns:
  - {{name: id, type: integer, required: true}}
  - {{name: name, type: text}}
  - {{name: born, type: date}}
  - {{name: sum, type: numeric}}
  - {{name: at, type: timestamptz}}
  - {{name: data, type: json}}
max_reject_ratio: 0.5
index: {name}
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    folder = tmp_path_factory.mktemp("datasets")
    for name, table in (("people", "table: public.people\n"), ("found", "")):
        Path(folder / f"{name}.yaml").write_text(DATASET.format(name=name) + table)
    with LocalStack.temporary("parquet-tests", datasets=folder) as stack:
        yield stack


def test_good_files_are_loaded_and_indexed_and_bad_ones_set_aside_with_their_reasons(stack: LocalStack) -> None:
    s3, bucket = stack.client("s3"), stack.bucket
    files = {
        "people/good.parquet": parquet(),
        "people/one-bad-row.parquet": parquet({"born": [None, "yes"]}),
        "people/cut-off.parquet": parquet()[:-100],
        "found/good.parquet": parquet(),
        "found/no-parquet.parquet": b"id\n1\n",
    }
    for key, data in files.items():
        s3.put_object(Bucket=bucket, Key=f"incoming/{key}", Body=data)

    def listed(prefix: str) -> list[str]:
        return [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]

    def read(ending: str) -> Any:
        [key] = [one for one in listed("failed/") if one.endswith(ending)]
        return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    assert eventually(lambda: not listed("incoming/"), 60), listed("incoming/")

    with psycopg.connect(stack.warehouse_dsn("owner")) as connection:
        rows = connection.execute("SELECT id, name, sum::text, at::text, data FROM people ORDER BY id, name").fetchall()
    ada = (1, "Ada", "1.50", "2024-02-29 13:30:00+00", {"tags": ["a"]})
    assert rows == [ada, ada, (2, None, None, None, None)]
    with make_client(stack.search_url, "none") as client:
        index = OpenSearchIndex(client)
        assert (index.count("people"), index.count("found")) == (3, 2)
    assert read("cut-off.parquet.reason.json")["reason"].startswith("the Parquet file ends early")
    assert "begin with PAR1" in read("no-parquet.parquet.reason.json")["reason"]
    reject = read("one-bad-row.parquet.rejects.jsonl")
    assert (reject["line"], reject["column"]) == (2, "born")
    assert len(listed("processed/")) == 3
