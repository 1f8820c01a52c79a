from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.template.definition_json import definitions, machines
from tests.template.deployment import REPOSITORY

A_TASK = '"Cluster": "tasks"'


@pytest.fixture(scope="module")
def made() -> dict[str, dict[str, Any]]:
    return definitions()


def test_every_definition_of_the_repository_is_checked(made: dict[str, dict[str, Any]]) -> None:
    files = {path.name for path in (REPOSITORY / "statemachines").glob("*.yaml")}

    assert {path.name for path in machines().values()} == files
    assert {f"{name.split('.')[0]}.asl.yaml" for name in made} == files


def test_every_placeholder_is_filled_with_what_the_template_puts_there(made: dict[str, dict[str, Any]]) -> None:
    for name, one in made.items():
        assert "${" not in json.dumps(one), name
    assert '"arn:aws:lambda:eu-west-1:123456789012:function:SettleBatch"' in json.dumps(made["ingest.asl.json"])
    assert '"arn:aws:sns:eu-west-1:123456789012:RunTopic"' in json.dumps(made["ingest.asl.json"])
    assert '"arn:aws:lambda:eu-west-1:123456789012:function:RebuildViews"' in json.dumps(made["rebuild_views.asl.json"])


def test_what_conditions_decide_is_there_either_way(made: dict[str, dict[str, Any]]) -> None:
    for machine in ("ingest", "backfill"):
        texts = [json.dumps(one) for name, one in made.items() if name.startswith(f"{machine}.")]

        assert {A_TASK in text for text in texts} == {True, False}
    ways = [json.dumps(one) for name, one in made.items() if name.startswith("ingest.")]
    assert {"function:SettleBatchVersion:1" in text for text in ways} == {True, False}, "with a canary, and without"


def test_a_number_is_a_number_and_no_text(made: dict[str, dict[str, Any]]) -> None:
    batches = made["ingest.asl.json"]["States"][made["ingest.asl.json"]["StartAt"]]

    assert batches["MaxConcurrency"] == 8


def test_the_files_that_checkers_read_are_the_definitions_and_no_others(
    tmp_path: Path, made: dict[str, dict[str, Any]]
) -> None:
    (tmp_path / "of_yesterday.asl.json").write_text("{}")

    subprocess.run([sys.executable, "-m", "tests.template.definition_json", tmp_path], cwd=REPOSITORY, check=True)

    assert {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()} == made
