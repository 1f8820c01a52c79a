"""What CloudFormation's rules say to parameters, before it is asked: sam builds and uploads everything first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Refusal:
    rule: str
    why: str


def refusals(template: Mapping[str, Any], given: Mapping[str, str], not_given: Sequence[str] = ("",)) -> list[Refusal]:
    """Of a template as it is written, for `given` and the defaults of the rest.

    `not_given` is what a list is that was left empty: AWS's documents don't say. ValueError for a function that rules
    here have not had yet.
    """
    values: dict[str, Any] = {name: str(one["Default"]) for name, one in template["Parameters"].items()} | dict(given)
    for name, parameter in template["Parameters"].items():
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
        raise ValueError(f"rules know no {function}")

    return [
        Refusal(name, assertion["AssertDescription"])
        for name, rule in template["Rules"].items()
        if holds(rule.get("RuleCondition", True))
        for assertion in rule["Assertions"]
        if not holds(assertion["Assert"])
    ]
