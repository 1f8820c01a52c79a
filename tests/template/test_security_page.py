"""docs/security.md says what template.yaml grants, and nothing is granted on everything without a reason."""

from __future__ import annotations

import re

from tests.template.deployment import REPOSITORY, VARIANTS, deployed, of_type, source
from tests.template.security_table import BEGIN, PAGE, wide, written


def test_the_page_says_what_the_template_grants() -> None:
    assert PAGE.read_text() == written(), "the template's permissions have changed: run `make security`"


def test_each_policy_that_aws_words_is_named_with_why_it_is_not_narrower() -> None:
    roles = [role for variant in VARIANTS for role in of_type(deployed(variant), "AWS::IAM::Role").values()]
    for template in REPOSITORY.glob("*/template.yaml"):
        nested = source(template)["Resources"].values()
        roles += [one["Properties"] for one in nested if one["Type"] == "AWS::IAM::Role"]
    attached = {
        str(arn["Fn::Sub"] if isinstance(arn, dict) else arn).rpartition("/")[2]
        for role in roles
        for arn in role.get("ManagedPolicyArns", [])
    }

    page = PAGE.read_text()
    listed = page.partition("policies that AWS words")[2].partition(BEGIN)[0]
    assert {"AWSLambdaBasicExecutionRole", "AWSDataPipelineRole"} <= attached
    assert attached == set(re.findall(r"`(A\w+(?:Role|Policy|Access))`", listed))


def test_what_is_granted_on_everything_says_why_beside_it() -> None:
    for role, action, reasons in wide():
        assert len(reasons) > 1, f"{role} may {action} on *: write beside its Sid why AWS has no resource for it"
