"""docs/aws-evidence.md bounds what CloudFormation and IAM have limits for, and what `make permissions` has shown."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.template.deployment import REPOSITORY, VARIANTS, deployed, transformed

PAGE = (REPOSITORY / "docs" / "aws-evidence.md").read_text()


def said(pattern: str) -> list[int]:
    """The numbers that the page says there."""
    [found] = re.findall(pattern, PAGE)
    return [int(number.replace(",", "")) for number in (found if isinstance(found, tuple) else (found,))]


def size(document: Any) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def test_the_page_bounds_resources_parameters_and_bytes() -> None:
    template = transformed()
    resources, parameters, kilobytes = said(
        r"fewer than (\d+) resources of 500, fewer than (\d+) parameters of 200, less than (\d+) KB of 1 MB"
    )

    assert len(template["Resources"]) < resources < 500
    assert len(template["Parameters"]) < parameters < 200
    assert size(template) < kilobytes * 1_000 < 1_000_000


def test_the_page_bounds_policies_and_environments() -> None:
    inline, managed, kilobytes = said(
        r"inline below ([\d,]+) characters of 10,240, managed below ([\d,]+) of 6,144, environment below (\d+) KB of 4"
    )

    for name, resource in (pair for variant in VARIANTS for pair in deployed(variant).items()):
        given = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::IAM::Role":
                assert sum(size(policy["PolicyDocument"]) for policy in given.get("Policies", ())) < inline, name
            case "AWS::IAM::ManagedPolicy":
                assert size(given["PolicyDocument"]) < managed, name
            case "AWS::Lambda::Function":
                variables = given.get("Environment", {}).get("Variables", {})
                assert sum(len(f"{key}{value}") for key, value in variables.items()) < kilobytes * 1_000, name


def test_the_page_says_of_permissions_what_their_own_page_says() -> None:
    of_all = re.search(r"Of (\d+) permissions (\d+) made", (REPOSITORY / "docs" / "permissions.md").read_text())

    assert of_all
    assert said(r"(\d+) of (\d+) are missed") == [int(of_all[2]), int(of_all[1])]
