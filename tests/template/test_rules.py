"""What the template refuses before it makes anything, by CloudFormation's rules as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.template.deployment import LOADER, OWNER, VARIANTS, source

SECRETS = {"WarehouseSecretArn": LOADER, "WarehouseOwnerSecretArn": OWNER}
BY_IAM = VARIANTS["warehouse by IAM"]
NEW = {"Warehouse": "postgres", "CreateDatabase": "true", "CreateNetwork": "true"}


def refused(given: Mapping[str, str]) -> list[str]:
    """The rules that say no."""
    template = source()
    values: dict[str, Any] = {name: str(one["Default"]) for name, one in template["Parameters"].items()} | dict(given)
    for name, parameter in template["Parameters"].items():
        if parameter["Type"] == "CommaDelimitedList":
            values[name] = values[name].split(",")

    def holds(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        [(function, arguments)] = node.items()
        match function:
            case "Ref":
                return values[arguments]
            case "Fn::Equals":
                return holds(arguments[0]) == holds(arguments[1])
            case "Fn::Not":
                return not holds(arguments[0])
            case "Fn::And":
                return all(map(holds, arguments))
            case "Fn::Or":
                return any(map(holds, arguments))
            case "Fn::Contains":
                return holds(arguments[1]) in holds(arguments[0])
        raise AssertionError(f"rules know no {function}")

    return [
        name
        for name, rule in template["Rules"].items()
        if holds(rule.get("RuleCondition", True))
        if not all(holds(assertion["Assert"]) for assertion in rule["Assertions"])
    ]


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_variant_that_is_tested_is_refused(variant: str) -> None:
    assert not refused(VARIANTS[variant])


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
    assert refused(given) == [rule]
