"""The operator's commands on a whole stack, IAM enforced: what failed is mended and retried, and the table replayed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import urllib3
from tests.integration.processes import eventually
from typer.testing import CliRunner

from penstock.cli import app
from penstock.local.stack import LocalStack

HALF_BAD = b"id,name\n7,seven\nx,eight\n"


def describe(folder: Path, name: str, **changes: Any) -> None:
    columns = [{"name": "id", "type": "integer", "required": True}, {"name": "name", "type": "text"}]
    given = {
        "name": name,
        "prefix": f"{name}/",
        "format": "csv",
        "columns": columns,
        "table": name,
        "index": name,
        **changes,
    }
    (folder / f"{name}.yaml").write_text(json.dumps(given))  # JSON is YAML.


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStack]:
    datasets = tmp_path / "datasets"
    datasets.mkdir()
    describe(datasets, "things")
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    made = LocalStack.up("operated", tmp_path / "home", datasets=datasets, lifeline=True)
    yield made
    made.down()


def run(stack: LocalStack, *arguments: str) -> dict[str, Any]:
    """The command's JSON; it has to end well."""
    options = ["--stack", stack.name, "--datasets", str(stack.datasets), "--json"]
    answer = CliRunner().invoke(app, [*arguments, *options], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


def keys(stack: LocalStack, prefix: str) -> list[str]:
    listed = stack.client("s3").list_object_versions(Bucket=stack.bucket, Prefix=prefix)
    return [entry["Key"] for entry in listed.get("Versions", [])]


def ask(stack: LocalStack, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(stack.warehouse_dsn("owner")) as connection:
        return connection.execute(query.encode()).fetchall()


def test_what_failed_is_mended_and_retried_once_and_the_table_is_replayed_and_swapped(stack: LocalStack) -> None:
    s3 = stack.client("s3")
    for day in range(3):
        s3.put_object(Bucket=stack.bucket, Key=f"incoming/things/{day}.csv", Body=b"id,name\n%d,day\n" % day)
    s3.put_object(Bucket=stack.bucket, Key="incoming/things/bad day+1.csv", Body=HALF_BAD)
    s3.put_object(Bucket=stack.bucket, Key="incoming/others/a.csv", Body=b"id,name\n1,other\n")
    assert eventually(lambda: not keys(stack, "incoming/") and len(keys(stack, "processed/things/")) == 3)
    assert eventually(lambda: not run(stack, "status")["running"])
    describe(stack.datasets, "things", max_reject_ratio=0.5)
    describe(stack.datasets, "others")
    stack.redeploy()

    foretold = run(stack, "retry", "--all-failed", "--dry-run")
    retried = run(stack, "retry", "--all-failed", "--wait")
    again = run(stack, "retry", "--all-failed", "--wait")

    assert sorted(one["key"] for one in foretold["files"]) == ["incoming/others/a.csv", "incoming/things/bad day+1.csv"]
    assert foretold["run"] is None
    assert [one["settlement"] for one in retried["settled"]] == ["processed", "processed"]
    assert again["files"] == []
    assert sorted(ask(stack, "SELECT id FROM things")) == [(0,), (1,), (2,), (7,)]
    assert ask(stack, "SELECT name FROM others") == [("other",)]
    assert ask(stack, "SELECT key, retry FROM penstock.load_history") == [("incoming/things/bad day+1.csv", 0)]
    assert ask(stack, "SELECT retry FROM penstock.reject ORDER BY retry") == [(0,), (1,)]
    assert [key for key in keys(stack, "failed/") if key.endswith(".csv")] == []

    replayed = run(stack, "replay", "--dataset", "things")
    swapped = run(stack, "replay", "--dataset", "things", "--swap")
    urllib3.request("DELETE", f"{stack.search_url}/things")
    rewritten = run(stack, "replay", "--dataset", "things", "--documents")
    s3.put_object(Bucket=stack.bucket, Key="incoming/things/late.csv", Body=b"id,name\n9,late\n")

    assert (replayed["files"], replayed["comparison"]["equal"], replayed["comparison"]["rebuilt_rows"]) == (4, True, 4)
    assert swapped["loaded_before"] == 4
    assert (rewritten["files"], rewritten["documents"], rewritten["differences"]) == (4, 4, [])
    assert ask(stack, f"SELECT count(*) FROM {swapped['kept_as']}") == [(4,)]
    assert eventually(lambda: max(ask(stack, "SELECT id FROM things")) == (9,))
    assert eventually(lambda: not keys(stack, "incoming/"))
    assert len(keys(stack, "processed/things/")) == 5
    assert eventually(lambda: not run(stack, "status")["running"])
    assert run(stack, "reconcile")["ok"]
