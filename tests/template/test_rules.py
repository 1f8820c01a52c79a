"""What the template refuses before it makes anything, by CloudFormation's rules as they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from tests.template.deployment import LOADER, OWNER, VARIANTS, source

from penstock.local.template_rules import refusals

TEMPLATE = source()
SECRETS = {"WarehouseSecretArn": LOADER, "WarehouseOwnerSecretArn": OWNER}
BY_IAM = VARIANTS["warehouse by IAM"]
NEW = {"Warehouse": "postgres", "CreateDatabase": "true", "CreateNetwork": "true"}


def refused(given: Mapping[str, str], not_given: Sequence[str] = ("",)) -> list[str]:
    """The rules that say no."""
    return sorted({one.rule for one in refusals(TEMPLATE, given, not_given)})


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_variant_that_is_tested_is_refused(variant: str) -> None:
    assert not refused(VARIANTS[variant])
    assert not refused(VARIANTS[variant], not_given=())


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"Warehouse": "postgres"}, "PostgresHasItsSecrets"),
        ({"Warehouse": "postgres", "WarehouseSecretArn": LOADER}, "PostgresHasItsSecrets"),
        ({**BY_IAM, "WarehouseResourceId": ""}, "PostgresByIam"),
        ({**BY_IAM, "Warehouse": "none"}, "PostgresByIam"),
        ({**BY_IAM, **SECRETS}, "PostgresByIam"),
        ({**BY_IAM, "CreateDataPipeline": "true"}, "PostgresByIam"),
        ({**NEW, "Warehouse": "none"}, "DatabaseHasItsPlace"),
        ({**NEW, "CreateNetwork": "false"}, "DatabaseHasItsPlace"),
        ({**VARIANTS["new database in a network"], "VpcId": ""}, "DatabaseHasItsPlace"),
        ({**NEW, **SECRETS}, "DatabaseHasItsPlace"),
        ({"CreateNetwork": "true", "VpcSubnetIds": "subnet-1"}, "OneNetwork"),
        ({"CreateNetwork": "true", "VpcSecurityGroupIds": "sg-1"}, "OneNetwork"),
        ({"CreateNetwork": "true", "CreateDataPipeline": "true"}, "OneNetwork"),
        ({"TaskImage": "i.example.com/t:1", "TaskCluster": "tasks"}, "TasksHaveAPlace"),
    ],
)
def test_what_contradicts_itself_is_refused(given: dict[str, str], rule: str) -> None:
    assert refused(given) == refused(given, not_given=()) == [rule]
