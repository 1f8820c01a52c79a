"""What would happen to a file: told from the file and its dataset, as the run itself would then have it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from penstock.adapters.postgres.statements import statements_of
from penstock.cli import app
from penstock.flows.explain_file import KEPT, Explanation, explain_file, rules_of
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError


def dataset(**changes: Any) -> Dataset:
    columns = [
        {"name": "id", "type": "integer", "required": True},
        {"name": "name", "type": "text"},
        {"name": "seen", "type": "date", "source": "Seen On"},
    ]
    given = {"name": "things", "prefix": "things/", "format": "csv", "columns": columns, "table": "things", **changes}
    return Dataset.model_validate(given)


GOOD = b"id,name,Seen On\n1,one,2026-01-31\n2,,\n"


def told(tmp_path: Path, content: bytes, name: str = "a.csv", of: Dataset | None = None) -> Explanation:
    path = tmp_path / name
    path.write_bytes(content)
    return explain_file(path, of or dataset())


def test_a_good_file_would_be_loaded(tmp_path: Path) -> None:
    found = told(tmp_path, GOOD)

    assert (found.loads, found.rows, found.rejected, found.reason) == (True, 2, 0, "")
    assert [(seen.column.name, seen.inferred, seen.nulls) for seen in found.columns] == [
        ("id", "integer", 0),
        ("name", "text", 1),
        ("seen", "date", 1),
    ]
    assert (found.compression, found.encoding, found.line_ends) == ("none", "utf-8", "LF")
    assert found.key == "incoming/things/a.csv"
    assert found.processed == "processed/things/<arrival id>-a.csv"
    assert found.failed == "failed/things/<arrival id>-a.csv"


def test_rejects_have_line_column_and_reason(tmp_path: Path) -> None:
    found = told(tmp_path, b'id,name,Seen On\nx,"a\nb",\n1,one\n,none,\n3,bad,2026-02-30\n4,fine,\n')

    assert [(one.line, one.column, one.reason) for one in found.rejects] == [
        (2, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
        (4, "", "2 columns where 3 were expected; quote what holds a delimiter or a line end"),
        (5, "id", "it is null, and the column is required; fill it, or take `required` out of the dataset's column"),
        (6, "seen", "date/time field value out of range; write it as 2024-02-29"),
    ]
    assert not found.loads
    assert found.reason == "4 of 5 rows are rejected, and dataset things allows none"


def test_rejects_within_the_tolerance_hold_nothing_up(tmp_path: Path) -> None:
    content = GOOD + b"x,,\n3,,\n"

    assert told(tmp_path, content, of=dataset(max_reject_ratio=0.25)).loads
    assert not told(tmp_path, content, of=dataset(max_reject_ratio=0.24)).loads


def test_many_rejects_are_counted_and_the_first_kept(tmp_path: Path) -> None:
    found = told(tmp_path, b"id,name,Seen On\n" + b"x,,\n" * 1000)

    assert (found.rejected, len(found.rejects)) == (1000, KEPT)


def test_what_only_the_database_can_say_is_left_to_it(tmp_path: Path) -> None:
    found = told(tmp_path, b"id,name,Seen On\n1,,31/01/2026\n2,,2026-01-31\n")

    assert (found.loads, found.rejected, found.doubts) == (True, 0, 1)
    assert found.first_doubt
    assert (found.first_doubt.line, found.first_doubt.column) == (2, "seen")


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "a.csv", "empty"),
        (b"id,nom,Seen On\n1,a,\n", "a.csv", "header changed"),
        (GOOD, "a.csv.gz", "no gzip"),
        (gzip.compress(GOOD, mtime=0)[:-9], "a.csv.gz", "cut off"),
        (b"id,name,Seen On\n1,\xff,\n", "a.csv", "not utf-8"),
        (b"id,name,Seen On\n1,\0,\n", "a.csv", "NUL"),
    ],
)
def test_a_file_that_can_t_be_read_says_why(tmp_path: Path, content: bytes, name: str, words: str) -> None:
    found = told(tmp_path, content, name)

    assert not found.loads
    assert words in found.fault
    assert found.to_json()["reason"] == found.fault


def test_a_compressed_file_is_told_apart_from_one_that_only_looks_so(tmp_path: Path) -> None:
    packed = told(tmp_path, gzip.compress(GOOD), "a.csv.gz")
    misnamed = told(tmp_path, gzip.compress(GOOD), "a.csv")

    assert (packed.loads, packed.compression, packed.notes) == (True, "gzip", [])
    assert not misnamed.loads
    assert any("gzip" in note for note in misnamed.notes)


def test_another_delimiter_is_noticed(tmp_path: Path) -> None:
    found = told(tmp_path, GOOD.replace(b",", b";"))

    assert any("delimiter: ';'" in note for note in found.notes)


def test_its_document_is_shown_with_the_id_that_it_would_have(tmp_path: Path) -> None:
    by_place = told(tmp_path, b"id,name,Seen On\nx,,\n1,one,\n", of=dataset(index="things", max_reject_ratio=0.5))
    by_key = told(tmp_path, GOOD, of=dataset(index={"name": "things", "id_columns": ["id"]}))
    by_content = told(tmp_path, GOOD, of=dataset(index="things", table=None))

    assert json.loads(by_place.document)["_id"] == "<arrival id>-1"
    assert len(json.loads(by_key.document)["_id"]) == 32
    assert json.loads(by_content.document)["_id"].endswith("-0")
    assert "<hash of" in by_content.document


def test_the_statements_are_those_of_the_load(tmp_path: Path) -> None:
    found = told(tmp_path, b"Seen On,id,name\n,1,one\n")

    statements = statements_of(found.dataset, found.order)
    replacing = statements_of(dataset(on_overwrite="replace"), found.order)
    texts = statements_of(dataset(null_markers=["", "NA"]), found.order)

    [copy] = [one for one in statements if one.startswith("COPY")]
    assert copy.startswith('COPY "public"."things" ("seen", "id", "name") FROM STDIN (FORMAT csv')
    assert (statements[0], statements[-1]) == ("BEGIN", "COMMIT")
    assert any(one.startswith("DELETE FROM") for one in replacing)
    assert any("NOT IN ('', 'NA')" in one for one in texts)


def test_the_statements_of_an_upsert_are_those_of_its_merge(tmp_path: Path) -> None:
    columns = [{"name": name, "type": "integer", "required": True} for name in ("id", "at")]
    found = told(tmp_path, b"id,at\n1,1\n", of=dataset(columns=columns, upsert={"key": ["id"], "order_by": "at"}))

    statements = statements_of(found.dataset, found.order)

    [copy] = [one for one in statements if one.startswith("COPY")]
    [merge] = [one for one in statements if "ON CONFLICT" in one and "penstock.load " not in one.partition("(")[0]]
    assert copy.startswith('COPY "pg_temp"."penstock_upsert" ("id", "at") FROM STDIN')
    assert merge.startswith('INSERT INTO "public"."things" AS t ("id", "at") SELECT')
    assert "'<arrival id>'::uuid" in merge
    assert statements.index(copy) < statements.index(merge)
    assert "the greatest at stays" in rules_of(found.dataset)[0]


def test_the_statements_of_events_pass_over_their_repeats(tmp_path: Path) -> None:
    columns = [{"name": name, "type": "integer", "required": True} for name in ("id", "at")]
    found = told(tmp_path, b"id,at\n1,1\n", of=dataset(columns=columns, event_id="id"))

    statements = statements_of(found.dataset, found.order)

    [merge] = [one for one in statements if one.endswith('ON CONFLICT ("id") DO NOTHING')]
    assert merge.startswith('INSERT INTO "public"."things" AS t ("id", "at") SELECT "id", "at" FROM')
    assert "equal in id, the first that is loaded stays" in rules_of(found.dataset)[0]


@pytest.mark.parametrize(("how", "words"), [("append", "adds"), ("replace", "place"), ("refuse", "quarantined")])
def test_the_rule_for_another_version_is_the_dataset_s(how: str, words: str) -> None:
    assert words in rules_of(dataset(on_overwrite=how))[0]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="no such file"):
        explain_file(tmp_path / "none.csv", dataset())


def test_the_command_exits_with_1_for_a_file_that_would_be_quarantined(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("carrier,name\nAA,American [bold]\n")
    (tmp_path / "bad.csv").write_text("carrier,nombre\nAA,American\n")
    run = CliRunner().invoke

    good = run(app, ["explain", str(tmp_path / "good.csv"), "-d", "airlines"])
    bad = run(app, ["explain", str(tmp_path / "bad.csv"), "-d", "airlines", "--json"])

    assert good.exit_code == 0
    assert "It would be loaded: 1 of 1 row." in good.output
    assert "American [bold]" in good.output
    assert "the database" in good.output.replace("\n", " ") or "database" in good.output
    assert bad.exit_code == 1
    assert "header changed" in json.loads(bad.stdout)["reason"]
