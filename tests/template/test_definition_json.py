from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.template.definition_json import DEFINITIONS, definition
from tests.template.deployment import REPOSITORY


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_placeholder_is_filled_with_what_the_template_puts_there(name: str) -> None:
    text = json.dumps(definition(name))

    assert "${" in DEFINITIONS[name][0].read_text()
    assert "${" not in text
    assert '"arn:aws:lambda:eu-west-1:123456789012:function:SettleBatch"' in text
    assert '"arn:aws:sns:eu-west-1:123456789012:RunTopic"' in text


def test_a_number_is_a_number_and_no_text() -> None:
    batches = definition()["States"][definition()["StartAt"]]

    assert batches["MaxConcurrency"] == 8


@pytest.mark.parametrize("name", DEFINITIONS)
def test_the_file_that_checkers_read_is_the_definition(tmp_path: Path, name: str) -> None:
    target = tmp_path / name

    subprocess.run([sys.executable, "-m", "tests.template.definition_json", target], cwd=REPOSITORY, check=True)

    assert json.loads(target.read_text()) == definition(name)
