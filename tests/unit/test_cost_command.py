"""What `penstock cost` says, to people and to machines, and what it refuses."""

from __future__ import annotations

import json
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
    ],
)
def test_what_is_not_understood_is_said_in_a_sentence(arguments: tuple[str, ...], told: str) -> None:
    result = cost("--files", "10", *arguments)

    assert result.exit_code == 1
    assert told in result.stderr
