"""No rule is silenced without its reason beside it."""

from __future__ import annotations

import re

from samtranslator.yaml_helper import yaml_parse
from tests.pages import REPOSITORY, tracked

SILENCED = re.compile(r"# (?:noqa|type: ignore|pragma)\b.*")
REASONED = re.compile(r"# (?:noqa: [A-Z]+\d+(?:, [A-Z]+\d+)* - |type: ignore\[[a-z, -]+\] # )\S")


def test_each_rule_that_is_silenced_on_a_line_is_named_with_its_reason() -> None:
    for file in tracked("*.py"):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            for found in SILENCED.finditer(line):
                assert REASONED.match(found[0]), f"{file.relative_to(REPOSITORY)}:{number}: {found[0]}"


def test_each_check_of_checkov_that_is_passed_over_has_its_reason() -> None:
    for file in tracked("template.yaml", "*/template.yaml"):
        for name, resource in yaml_parse(file.read_text())["Resources"].items():
            for skipped in resource.get("Metadata", {}).get("checkov", {}).get("skip", ()):
                assert skipped["comment"], f"{file.relative_to(REPOSITORY)}: {name}: {skipped['id']}"
