"""The whole of it on PostgreSQL and on Redshift's stand-in alike, IAM enforced: what a producer and an operator see."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa
import pytest
from tests.corpus.parquet_files import written
from tests.integration.processes import eventually
from tests.integration.test_operators_commands import HALF_BAD, ask, describe, keys, run
from typer.testing import CliRunner

from penstock.cli import app
from penstock.local.stack import LocalStack

VIEW = "{name: ages, view: ages, of: [things], key: [id], query: SELECT DISTINCT id FROM things}"


# A group each: both stacks start once, side by side, however many workers there are.
WAREHOUSES = [
    pytest.param(name, marks=pytest.mark.xdist_group(f"on {name}"), id=name) for name in ("postgres", "redshift")
]


@pytest.fixture(scope="module", params=WAREHOUSES)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    home = tmp_path_factory.mktemp(request.param)
    (home / "datasets" / "views").mkdir(parents=True)
    describe(home / "datasets", "things", kick_off={"rebuild_views": True})
    describe(home / "datasets", "books", on_overwrite="replace")
    describe(home / "datasets", "pieces", format="parquet", max_reject_ratio=0.5)
    (home / "datasets" / "views" / "ages.yaml").write_text(VIEW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENSTOCK_HOME", str(home))
        made = LocalStack.up(
            "either", home, datasets=home / "datasets", warehouse=request.param, lifeline=True, wait_scale=0.05
        )
        yield made
        made.down()


def put(stack: LocalStack, key: str, body: bytes) -> None:
    stack.client("s3").put_object(Bucket=stack.bucket, Key=f"incoming/{key}", Body=body)


def at_rest(stack: LocalStack) -> bool:
    machine = stack.outputs["IngestStateMachineArn"]
    going_on = stack.client("stepfunctions").list_executions(stateMachineArn=machine, statusFilter="RUNNING")
    return not keys(stack, "incoming/") and not going_on["executions"]


def test_a_bad_file_leaves_the_good_ones_their_rows_and_is_mended_and_retried(stack: LocalStack) -> None:
    for day in range(3):
        put(stack, f"things/{day}.csv", b"id,name\n%d,day\n" % day)
    put(stack, "things/bad day+1.csv", HALF_BAD)
    put(stack, "things/again.csv", b"id,name\n0,day\n")

    assert eventually(lambda: at_rest(stack))
    assert sorted(ask(stack, "SELECT id FROM things")) == [(0,), (0,), (1,), (2,)]
    assert len(keys(stack, "processed/things/")) == 4

    describe(stack.datasets, "things", max_reject_ratio=0.5, kick_off={"rebuild_views": True})
    stack.redeploy()
    retried = run(stack, "retry", "--all-failed", "--wait")

    assert [one["settlement"] for one in retried["settled"]] == ["processed"]
    assert sorted(ask(stack, "SELECT id FROM things")) == [(0,), (0,), (1,), (2,), (7,)]
    assert eventually(lambda: (7,) in ask(stack, "SELECT id FROM ages"))
    assert run(stack, "status")["datasets"]["things"]["rows"] == 5
    assert run(stack, "reconcile")["ok"]


def test_another_content_replaces_and_the_same_content_adds_nothing(stack: LocalStack) -> None:
    put(stack, "books/all.csv", b"id,name\n1,one\n2,two\n")
    put(stack, "books/all.csv", b"id,name\n1,one\n3,three\n")
    assert eventually(lambda: at_rest(stack))
    replaced = sorted(ask(stack, "SELECT id, name FROM books"))

    put(stack, "books/all.csv", b"id,name\n1,one\n3,three\n")
    assert eventually(lambda: at_rest(stack) and len(keys(stack, "processed/books/")) == 3)

    assert replaced == sorted(ask(stack, "SELECT id, name FROM books")) == [(1, "one"), (3, "three")]
    assert ask(stack, "SELECT verdict FROM penstock.load WHERE dataset = 'books' ORDER BY 1") == [
        ("duplicate",),
        ("loaded",),
        ("loaded",),
    ]
    written = run(stack, "replay", "--dataset", "books", "--documents")
    assert (written["documents"], written["refused"], written["differences"]) == (2, [], [])
    assert run(stack, "reconcile")["ok"]


def test_parquet_is_loaded_each_row_once_and_its_bad_rows_are_told(stack: LocalStack) -> None:
    for number, ids in enumerate(([1, 2], [3], [4, 2**40])):
        file = written({"id": pa.array(ids, pa.int64()), "name": ["a"] * len(ids)}, write_statistics=False)
        put(stack, f"pieces/{number}.parquet", file)
    put(stack, "pieces/again.parquet", b"id,name\n1,a\n")

    assert eventually(lambda: at_rest(stack) and len(keys(stack, "failed/pieces/")) > 1)

    assert sorted(ask(stack, "SELECT id FROM pieces")) == [(1,), (2,), (3,), (4,)]
    assert sorted(ask(stack, "SELECT \"rows\", rejects FROM penstock.load WHERE dataset = 'pieces'")) == [
        *((0, 0), (1, 0), (1, 1), (2, 0)),
    ]
    assert run(stack, "reconcile")["ok"]


def test_a_table_is_rebuilt_from_what_was_processed_and_takes_its_place(stack: LocalStack) -> None:
    for number in (40, 41):
        put(stack, f"things/before/{number}.csv", b"id,name\n%d,before\n" % number)
    assert eventually(lambda: at_rest(stack) and len(keys(stack, "processed/things/before/")) == 2)
    before = ask(stack, "SELECT id, name FROM things ORDER BY id, name")

    replayed = run(stack, "replay", "--dataset", "things", "--swap")

    assert (replayed["files"], replayed["refused"]) == (len(keys(stack, "processed/things/")), [])
    assert replayed["comparison"]["equal"], replayed
    assert {(40, "before"), (41, "before")} <= set(before)
    assert ask(stack, "SELECT id, name FROM things ORDER BY id, name") == before
    assert ask(stack, f"SELECT count(*) FROM {replayed['kept_as']}") == [(len(before),)]
    assert run(stack, "reconcile")["ok"]
    put(stack, "things/after.csv", b"id,name\n8,after\n")
    assert eventually(lambda: (8,) in ask(stack, "SELECT id FROM things"))


def test_a_query_reads_and_writes_nothing(stack: LocalStack) -> None:
    asked = CliRunner().invoke(app, ["query", "SELECT 7 AS n", "--stack", stack.name, "--json"])
    answer = CliRunner().invoke(app, ["query", "DELETE FROM penstock.load", "--stack", stack.name])

    assert json.loads(asked.stdout)["rows"] == [{"n": 7}]
    assert answer.exit_code != 0
    assert "read-only" in answer.output
