"""A small slice of the demo, whole: a stack, files, events, the account; and each command on what it left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from penstock.cli import app

DAYS = 41  # The week that is replayed as events is the last of them.
SPEED = 150_000
ROWS = {"airlines": 16, "airports": 1458, "flights": 35_530, "planes": 3322, "weather": 4236}


def penstock(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def answer(*arguments: str) -> Any:
    result = penstock(*arguments, "--stack", "demo", "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("demo")
    folder.chmod(0o711)
    for parent in (folder.parent, folder.parent.parent):
        parent.chmod(0o711)  # PostgreSQL drops root and must be able to enter.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENSTOCK_HOME", str(folder))
        report = folder / "report.json"
        result = penstock("demo", "--days", str(DAYS), "--speed", str(SPEED), "--keep", "--report", str(report))
        try:
            assert report.exists(), result.output
            yield {**json.loads(report.read_text()), "exit_code": result.exit_code, "output": result.output}
        finally:
            penstock("down", "--stack", "demo")


def test_every_number_adds_up(account: dict[str, Any]) -> None:
    assert account["problems"] == []
    assert account["exit_code"] == 0
    assert account["files"] == {"arrived": 49, "processed": 46, "failed": 3, "left_in_incoming": 0}
    for name, rows in ROWS.items():
        assert account["datasets"][name]["rows_in_files"] == rows
        assert account["datasets"][name]["rows_loaded"] == rows
        assert account["datasets"][name]["documents"] == rows


def test_the_same_files_again_add_nothing(account: dict[str, Any]) -> None:
    again = account["again"]

    assert again["files"] == 49
    assert again["duplicates"] == 46
    assert again["rows_added"] == 0
    assert again["documents_added"] == 0


def test_each_broken_file_is_quarantined_with_a_reason_a_person_understands(account: dict[str, Any]) -> None:
    reasons = {found["key"].rpartition("/")[2]: found["reason"] for found in account["quarantined"]}

    assert "departure_delay" in reasons["header-changed.csv"]
    assert "dep_delay" in reasons["text-for-a-number.csv"]
    assert "line 4" in reasons["text-for-a-number.csv"]
    assert "gzip" in reasons["truncated.csv.gz"]


def test_runs_kick_offs_and_the_bill_are_told(account: dict[str, Any]) -> None:
    assert {run["status"] for run in account["runs"]} == {"SUCCEEDED"}
    assert all(run["transitions"] > run["batches"] * 6 for run in account["runs"])
    assert {kick_off["dataset"] for kick_off in account["kickoffs"]} == {"airports", "flights", "weather"}
    dollars = {line["service"]: line["dollars"] for line in account["cost"]["lines"]}
    assert dollars["S3"] > 49 * 2 * 5e-6
    assert dollars["Lambda"] > 0


def test_events_are_counted_once_each_and_the_alarm_rings_on_the_day_of_the_storm(account: dict[str, Any]) -> None:
    stream = account["stream"]
    flights = answer("query", "SELECT count(*) AS flights FROM flights WHERE month = 2 AND day BETWEEN 4 AND 10")

    assert stream["counted"] == flights["rows"][0]["flights"] == stream["sent"]["in time"] + stream["sent"]["late"]
    assert stream["repeats"] == stream["sent"]["repeat"] > 200
    assert stream["hours"] > 1_000
    assert sum(stream["put_aside"].values()) == stream["sent"]["poison"] > 5
    archived = stream["archived"]
    assert (archived["rows"], archived["repeats"], archived["rejects"]) == (
        stream["counted"],
        stream["sent"]["repeat"],
        stream["sent"]["poison"],
    )
    assert [(one["what"], one["episode"]) for one in stream["heard"]] == [
        ("high", "cancellations/high/2013-02-08T19:00Z"),
        ("all clear", "cancellations/high/2013-02-08T19:00Z"),
    ]


def test_the_summary_says_it_in_words(account: dict[str, Any]) -> None:
    assert "Everything adds up." in account["output"]
    assert "John F Kennedy Intl" in account["output"]
    assert "Penstock: cancellations is high" in account["output"]


def test_na_is_null_and_times_are_timestamps(account: dict[str, Any]) -> None:
    found = answer(
        "query",
        "SELECT count(*) FILTER (WHERE dep_time IS NULL) AS cancelled, min(time_hour) AS first, "
        "pg_typeof(min(time_hour))::text AS type FROM flights",
    )

    (row,) = found["rows"]
    assert row["cancelled"] > 0
    assert row["first"].startswith("2013-01-01T10:00:00")
    assert row["type"] == "timestamp with time zone"


def test_a_query_can_change_nothing_and_a_wrong_one_is_explained(account: dict[str, Any]) -> None:
    changed = penstock("query", "DELETE FROM flights", "--stack", "demo")
    wrong = penstock("query", "SELECT nothing FROM flights", "--stack", "demo")

    assert changed.exit_code == 1
    assert "read-only" in changed.stderr
    assert wrong.exit_code == 1
    assert 'column "nothing" does not exist' in wrong.stderr


def test_status_runs_and_a_run_are_told_to_machines_and_to_people(account: dict[str, Any]) -> None:
    status = answer("status")
    runs = answer("runs")
    story = answer("run", "last")

    assert sum(found["incoming"] for found in status["datasets"].values()) == 0
    rows = {name: found["rows"] for name, found in status["datasets"].items()}
    assert rows == {**ROWS, "departures": account["stream"]["counted"]}
    assert story["id"] == runs[0]["id"]
    assert sum(batch["files"] for batch in story["batches"]) == runs[0]["files"]
    for command in (("status",), ("runs",), ("run", story["id"])):
        assert penstock(*command, "--stack", "demo").exit_code == 0


def test_a_file_that_is_put_by_hand_is_waited_for_and_its_fate_is_told(account: dict[str, Any], tmp_path: Path) -> None:
    good, bad = tmp_path / "more.csv", tmp_path / "bad.csv"
    good.write_text("carrier,name\nZZ,Zeppelin Lines\n")
    bad.write_text("carrier\nZZ\n")

    put = answer("put", str(good), "--dataset", "airlines", "--wait")
    failed = penstock("put", str(bad), "--dataset", "airlines", "--wait", "--stack", "demo")

    assert [arrival["rows"] for arrival in put["settled"]] == [1]
    assert failed.exit_code == 1
    assert "the header changed" in " ".join(failed.output.split())
    (best,) = answer("search", "airlines", "zeppelin")["documents"]
    assert best["_source"]["carrier"] == "ZZ"


def test_applying_again_changes_nothing(account: dict[str, Any]) -> None:
    assert answer("apply")["did"] == []
