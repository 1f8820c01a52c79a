"""What a first deployment reads of samconfig.toml before it asks anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.template.deployment import source

from penstock.local.first_deployment import Section
from penstock.model.errors import PermanentError


def config(folder: Path, stack: str) -> Path:
    file = folder / "samconfig.toml"
    file.write_text(f'[dev.global.parameters]\nstack_name = "{stack}"\n')
    return file


def test_a_stacks_name_that_its_rules_names_have_no_room_for_is_refused(tmp_path: Path) -> None:
    """A rule's name has 64 characters, and CloudFormation puts 13 of its own and two dashes into one that it makes."""
    rules = [name for name, one in source()["Resources"].items() if one["Type"] == "AWS::Events::Rule"]
    longest = "n" * 32

    assert len(longest) + max(map(len, rules)) + 13 + 2 <= 64
    assert Section.read(config(tmp_path, longest), "dev").stack == longest
    with pytest.raises(PermanentError, match="32 characters at most"):
        Section.read(config(tmp_path, longest + "n"), "dev")
