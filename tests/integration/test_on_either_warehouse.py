"""The whole of it on PostgreSQL and on Redshift's stand-in alike, IAM enforced: what a producer and an operator see."""

from __future__ import annotations

import json

import pyarrow as pa
from tests.corpus.parquet_files import written
from tests.integration.operating import HALF_BAD, ask, at_rest, command, keys, put, run
from tests.integration.processes import eventually

from penstock.local.stack import LocalStack


def test_a_bad_file_leaves_the_good_ones_their_rows_and_views_are_rebuilt(stack: LocalStack) -> None:
    for day in range(3):
        put(stack, f"things/{day}.csv", b"id,name\n%d,day\n" % day)
    put(stack, "things/bad day+1.csv", HALF_BAD)
    put(stack, "things/again.csv", b"id,name\n0,day\n")

    assert eventually(lambda: at_rest(stack) and len(keys(stack, "processed/things/")) == 4)
    assert sorted(ask(stack, "SELECT id FROM things")) == [(0,), (0,), (1,), (2,)]
    assert eventually(lambda: sorted(ask(stack, "SELECT id FROM ages")) == [(0,), (1,), (2,)])
    assert run(stack, "status")["datasets"]["things"]["rows"] == 4
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
    asked = command(stack, "query", "SELECT 7 AS n", "--json")
    answer = command(stack, "query", "DELETE FROM penstock.load")

    assert json.loads(asked.stdout)["rows"] == [{"n": 7}]
    assert answer.exit_code != 0
    assert "read-only" in answer.output
