"""What the template refuses before it makes anything, by CloudFormation's rules as they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tests.template.deployment import LOADER, OWNER, VARIANTS, source

TEMPLATE = source()
SECRETS = {"WarehouseSecretArn": LOADER, "WarehouseOwnerSecretArn": OWNER}
BY_IAM = VARIANTS["warehouse by IAM"]
NEW = {"Warehouse": "postgres", "CreateDatabase": "true", "CreateNetwork": "true"}


def refused(given: Mapping[str, str], not_given: Sequence[str] = ("",)) -> list[str]:
    """The rules that say no. `not_given` is what a list is that was left empty: AWS's documents don't say."""
    values: dict[str, Any] = {name: str(one["Default"]) for name, one in TEMPLATE["Parameters"].items()} | dict(given)
    for name, parameter in TEMPLATE["Parameters"].items():
        if parameter["Type"] == "CommaDelimitedList":
            values[name] = values[name].split(",") if values[name] else not_given

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
            case "Fn::EachMemberEquals":
                return all(one == holds(arguments[1]) for one in holds(arguments[0]))
        raise AssertionError(f"rules know no {function}")

    return [
        name
        for name, rule in TEMPLATE["Rules"].items()
        if holds(rule.get("RuleCondition", True))
        if not all(holds(assertion["Assert"]) for assertion in rule["Assertions"])
    ]


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
