"""What a producer and an operator do with a whole stack, whatever its warehouse is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
from typer.testing import CliRunner, Result

from penstock.cli import app
from penstock.local.stack import LocalStack

HALF_BAD = b"id,name\n7,seven\nx,eight\n"


def describe(folder: Path, name: str, **changes: Any) -> None:
    """Writes a dataset of two columns, with a table and an index that are called as it is."""
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


def command(stack: LocalStack, *arguments: str) -> Result:
    """The command's end, be it good or bad."""
    home = {"PENSTOCK_HOME": str(stack.folder.parent), "COLUMNS": "400"}
    return CliRunner().invoke(app, [*arguments, "--stack", stack.name], env=home, catch_exceptions=False)


def run(stack: LocalStack, *arguments: str) -> dict[str, Any]:
    """The command's JSON; it has to end well."""
    answer = command(stack, *arguments, "--datasets", str(stack.datasets), "--json")
    assert answer.exit_code == 0, answer.output
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


def put(stack: LocalStack, key: str, body: bytes) -> None:
    stack.client("s3").put_object(Bucket=stack.bucket, Key=f"incoming/{key}", Body=body)


def keys(stack: LocalStack, prefix: str) -> list[str]:
    pages = stack.client("s3").get_paginator("list_object_versions").paginate(Bucket=stack.bucket, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Versions", [])]


def ask(stack: LocalStack, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(stack.warehouse_dsn("owner")) as connection:
        return connection.execute(query.encode()).fetchall()


def at_rest(stack: LocalStack) -> bool:
    machine = stack.outputs["IngestStateMachineArn"]
    going_on = stack.client("stepfunctions").list_executions(stateMachineArn=machine, statusFilter="RUNNING")
    return not keys(stack, "incoming/") and not going_on["executions"]
