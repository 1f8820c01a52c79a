from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.template.definition_json import DEFINITION, definition
from tests.template.deployment import REPOSITORY


def test_every_placeholder_is_filled_with_what_the_template_puts_there() -> None:
    text = json.dumps(definition())

    assert "${" in DEFINITION.read_text()
    assert "${" not in text
    assert '"arn:aws:lambda:eu-west-1:123456789012:function:SettleBatch"' in text
    assert '"arn:aws:sns:eu-west-1:123456789012:RunTopic"' in text


def test_a_number_is_a_number_and_no_text() -> None:
    batches = definition()["States"][definition()["StartAt"]]

    assert batches["MaxConcurrency"] == 8


def test_the_file_that_checkers_read_is_the_definition(tmp_path: Path) -> None:
    target = tmp_path / "ingest.asl.json"

    subprocess.run([sys.executable, "-m", "tests.template.definition_json", target], cwd=REPOSITORY, check=True)

    assert json.loads(target.read_text()) == definition()
