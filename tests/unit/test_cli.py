"""The terminal, as far as it needs no engine: help that teaches, JSON that is only JSON, errors without a trace."""

from __future__ import annotations

import bz2
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.zstandard import zstd
from typer.main import get_command
from typer.testing import CliRunner

from penstock.cli import app
from penstock.model.dataset_files import load_datasets
from penstock.model.dataset_schema import SCHEMA_FILE, dataset_schema

COMMANDS = (
    "demo",
    "up",
    "down",
    "cost",
    "deploy",
    "releases",
    "put",
    "status",
    "runs",
    "run",
    "backfill",
    "produce",
    "counts",
    "query",
    "search",
    "reconcile",
    "retry",
    "replay",
    "dead-letters",
    "apply",
    "infer",
    "explain",
    "schema",
)
REPOSITORY = Path(__file__).parents[2]


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(autouse=True)
def _no_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")


def test_help_lists_every_command_in_the_order_in_which_one_meets_them() -> None:
    commands: Any = get_command(app)

    assert tuple(commands.commands) == COMMANDS
    assert run("--help").exit_code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_s_help_shows_an_example_and_the_json_option(command: str) -> None:
    shown = run(command, "--help").output

    assert f"$ penstock {command}" in shown
    assert ("--json" in shown) is (command != "deploy"), "that one asks a person"


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("runs",),
        ("run", "last"),
        ("query", "SELECT 1"),
        ("search", "flights", "x"),
        ("reconcile", "--datasets", str(REPOSITORY / "datasets")),
        ("dead-letters", "redrive"),
        ("apply",),
        ("down",),
    ],
)
def test_without_a_stack_each_says_how_to_bring_one_up(arguments: tuple[str, ...]) -> None:
    result = run(*arguments, "--json")

    assert result.exit_code == 1
    assert "there is no stack local" in result.stderr
    assert "penstock up" in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_a_command_that_is_not_understood_exits_with_2() -> None:
    assert run("status", "--colour").exit_code == 2


def test_an_unknown_dataset_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n")

    result = run("put", str(tmp_path / "a.csv"), "-d", "flight", "--datasets", str(REPOSITORY / "datasets"))

    assert result.exit_code == 1
    assert "there is no dataset flight in" in result.stderr
    assert "airlines, airports, departures" in result.stderr


def test_a_refused_dataset_is_told_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "flights.yaml").write_text("name: flights\nprefix: flights\n")

    result = run("put", "a.csv", "-d", "flights", "--datasets", str(tmp_path))

    assert result.exit_code == 1
    assert f"{tmp_path}/flights.yaml:2: prefix:" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--dataset", "flight"), "there is no dataset flight in"),
        (("--since", "yesterday"), "--since yesterday is no time"),
    ],
)
def test_reconcile_says_what_it_does_not_understand(arguments: tuple[str, ...], told: str) -> None:
    result = run("reconcile", *arguments, "--datasets", str(REPOSITORY / "datasets"))

    assert result.exit_code == 1
    assert told in result.stderr


def test_schema_writes_the_schema_where_datasets_are_and_says_when_it_was_current(tmp_path: Path) -> None:
    first, again = run("schema", "--datasets", str(tmp_path)), run("schema", "--datasets", str(tmp_path))

    assert json.loads((tmp_path / SCHEMA_FILE).read_text()) == dataset_schema()
    assert "is written" in first.output
    assert "was current" in again.output


def test_schema_as_json_is_the_schema_and_nothing_else() -> None:
    assert json.loads(run("schema", "--json").stdout) == dataset_schema()


def test_infer_writes_a_dataset_that_loads(tmp_path: Path) -> None:
    (tmp_path / "Fleet 2013.csv").write_text("tailnum;Seats;on\nN1;55;NA\nN2;NA;x\n")
    arguments = ("infer", str(tmp_path / "Fleet 2013.csv"), "--delimiter", ";", "--null", "NA")

    written = run(*arguments, "--name", "fleet").stdout
    (tmp_path / "fleet.yaml").write_text(written)
    dataset = load_datasets(tmp_path)["fleet"]

    assert [(column.name, str(column.type), column.source) for column in dataset.columns] == [
        ("tailnum", "text", None),
        ("seats", "integer", "Seats"),
        ("on", "text", None),
    ]
    assert dataset.csv.delimiter == ";"
    assert dataset.null_markers == ("NA",)
    assert yaml.safe_load(run(*arguments).stdout)["name"] == "fleet_2013"


def test_infer_as_json_names_the_columns(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"at": "2013-01-01T10:00:00Z", "n": 1}\n')

    assert json.loads(run("infer", str(tmp_path / "a.jsonl"), "--json").stdout) == [
        {"name": "at", "type": "timestamptz"},
        {"name": "n", "type": "integer"},
    ]


def test_infer_tells_an_array_from_lines_and_unpacks_what_the_name_says(tmp_path: Path) -> None:
    elements = ", ".join(f'{{"id": {number}, "name": "Ada"}}' for number in range(60_000))  # One line, over 1 MiB.
    (tmp_path / "a.json.zst").write_bytes(zstd.compress(f"[{elements}]".encode()))
    (tmp_path / "b.json.bz2").write_bytes(bz2.compress(b'{"id": 1}\n{"id": 2}\n'))

    array = yaml.safe_load(run("infer", str(tmp_path / "a.json.zst")).stdout)
    lines = yaml.safe_load(run("infer", str(tmp_path / "b.json.bz2")).stdout)

    assert (array["format"], [column["name"] for column in array["columns"]]) == ("json", ["id", "name"])
    assert (lines["format"], lines["columns"]) == ("jsonl", [{"name": "id", "type": "integer"}])


def test_infer_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1\n")

    result = run("infer", str(tmp_path / "a.csv"))

    assert result.exit_code == 1
    assert "row 1 has 1 fields where there are 2 columns" in result.stderr


def test_without_a_terminal_there_is_no_colour(tmp_path: Path) -> None:
    for result in (run("--help"), run("status"), run("schema", "--datasets", str(tmp_path))):
        assert not re.search(r"\x1b", result.output)
