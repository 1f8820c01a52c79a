"""What `penstock cost` says, to people and to machines, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from penstock.cli import app
from penstock.local.forecast import Files, forecast
from penstock.local.stack_template import StackTemplate

REPOSITORY = Path(__file__).parents[2]
DATASETS = ("--datasets", str(REPOSITORY / "datasets"))


def cost(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["cost", "--from-template", str(REPOSITORY / "template.yaml"), *arguments])


def test_the_command_tells_the_same_as_json_and_as_a_table() -> None:
    asked = ("--files", "1e6", "--size", "200KB", "--per", "day")

    shown, told = cost(*asked), json.loads(cost(*asked, "--json").stdout)

    assert told["files"]["a_month"] == 30_000_000
    assert told["files"]["size"] == 200_000
    assert f"${told['dollars_a_month']:,.2f} a month" in shown.stdout
    assert told["dollars_a_month"] == pytest.approx(
        forecast(Files(30_000_000, 200_000, datasets=6), StackTemplate.read(REPOSITORY / "template.yaml", {})).dollars
    )
    for design in told["designs"]:
        assert design["name"] in shown.stdout


@pytest.mark.parametrize("arguments", [("--from-template",), ("--from-template", "--per", "day")])
def test_a_template_that_is_not_named_is_the_folders(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)

    told = CliRunner().invoke(app, ["cost", "--json", "--files", "10", *arguments])

    assert told.exit_code == 0
    assert json.loads(told.stdout) == json.loads(cost("--json", "--files", "10", "--per", "day").stdout)


def test_a_datasets_own_batches_and_kick_off_are_counted() -> None:
    folder = str(REPOSITORY / "datasets")

    told = json.loads(cost("--files", "10", "--dataset", "flights", "--datasets", folder, "--json").stdout)

    assert told["files"]["most_files"] == 50
    assert told["files"]["kick_offs"] == 1
    assert told["files"]["destinations"] == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--size", "big"), "--size big is no size"),
        (("--parameter", "Architecture"), "--parameter Architecture has no value"),
        (("--parameter", "Processor=arm64"), "has no parameter Processor"),
        (("--dataset", "flight", "--datasets", str(REPOSITORY / "datasets")), "there is no dataset flight"),
        (("--prices", "nowhere.yaml"), "nowhere.yaml is no table of prices"),
        (("--from-template", str(REPOSITORY / "README.md")), "is not Penstock's template: ScannerError"),
        (("--files", "nan"), "--files nan is no number of them"),
        (("--files", "-1"), "--files -1 is no number of them"),
        (("--files", "1e30"), "from 0 to 1e13 a month"),
        (("--size", "0"), "--size 0 is no size of a file"),
        (("--size", "6TiB"), "S3 takes from 1 byte to 5 TiB"),
        (("--event-size", "2MiB"), "--event-size 2MiB is no size of an event"),
        (("--poison", "2"), "--poison 2 is no share"),
        (("--rpus", "-1"), "--rpus -1 is less than nothing"),
        (("--parameter", "Stream=often"), "it is one of none, on-demand, provisioned"),
        (("--parameter", "Archive=stream"), "Archive=stream wants a stream"),
        (("--events", "5"), "--events come to no stream here: add --parameter Stream=on-demand"),
        (("--messages", "5"), "--messages come to no queue here: add --parameter Messages=standard"),
        (("--per", "once", "--files", "0"), "--per once wants --files"),
    ],
)
def test_what_is_not_understood_is_said_in_a_sentence(arguments: tuple[str, ...], told: str) -> None:
    result = cost("--files", "10", *arguments)

    assert result.exit_code == 1
    assert told in result.stderr


def test_nothing_costs_what_an_idle_stack_does() -> None:
    shown, told = cost(*DATASETS), json.loads(cost(*DATASETS, "--json").stdout)

    idle = sum(line["dollars"] for line in told["idle"])
    assert told["dollars_a_month"] == idle
    assert f"An idle stack costs ${idle:,.2f}" in shown.stdout
    assert "design" not in shown.stdout


def test_what_lowers_it_saves_what_is_computed_with_it() -> None:
    asked = ("--files", "1e4", *DATASETS)

    told = json.loads(cost(*asked, "--json").stdout)

    [pause] = [lever for lever in told["levers"] if lever["knob"].startswith("MinSecondsBetweenRuns=")]
    paused = json.loads(cost(*asked, "--parameter", pause["knob"], "--json").stdout)
    assert pause["saves"] == pytest.approx(told["dollars_a_month"] - paused["dollars_a_month"])
    assert not [lever for lever in paused["levers"] if lever["knob"] == pause["knob"]]
    assert pause["knob"] in cost(*asked).stdout


def test_a_backlog_goes_the_way_that_the_stack_would_take() -> None:
    few, many = (json.loads(cost("--files", number, "--per", "once", "--json").stdout) for number in ("9e4", "2e6"))

    assert [one["name"] for one in few["designs"][:2]] == ["Runs", "Backfill"]
    assert [one["name"] for one in many["designs"][:2]] == ["Backfill", "Runs"]
    assert (few["runs"], many["runs"]) == (45, 1)
    assert many["transitions"] == 20_000 * 6 + 50 * 3 + 6


def test_a_flush_is_the_datasets_own(tmp_path: Path) -> None:
    folder = shutil.copytree(REPOSITORY / "datasets", tmp_path / "datasets")
    with (folder / "flights.yaml").open("a") as described:
        described.write("flush: {files: 1000, after: 10m}\n")

    told = json.loads(cost("--files", "1e5", "--dataset", "flights", "--datasets", str(folder), "--json").stdout)

    assert told["files"]["flush"]["files"] == 1000
    assert told["runs"] < 5_000
    assert told["files"]["datasets"] == 6
