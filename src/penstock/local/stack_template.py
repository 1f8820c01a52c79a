"""What of template.yaml costs something or decides what does, for some parameters; nothing is asked of AWS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from penstock.model.errors import PermanentError


@dataclass(frozen=True)
class StackTemplate:
    """`memory` is of each function, in GB, by its name (`begin_load`, …)."""

    parameters: Mapping[str, str]
    memory: Mapping[str, float]
    machine: Mapping[str, Any]
    """The ingest state machine's definition."""
    alarm_metrics: int
    """An alarm is billed for each metric that it looks at."""
    dashboards: int
    secrets: int
    keys: int

    @classmethod
    def read(cls, path: Path, given: Mapping[str, str]) -> StackTemplate:
        """Raises PermanentError for a parameter that the template does not have, and for what is no such template."""
        from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped] # No types.

        try:
            source = yaml_parse(path.read_text())
            parameters = {name: str(one.get("Default", "")) for name, one in source["Parameters"].items()}
            parameters |= dict(given)
            if unknown := parameters.keys() - source["Parameters"].keys():
                raise PermanentError(f"{path} has no parameter {', '.join(sorted(unknown))}")
            there = _there(source, parameters)
            machine = path.parent / there["IngestStateMachine"]["Properties"]["DefinitionUri"]
            return cls(
                parameters=parameters,
                memory={
                    Path(one["CodeUri"]).name: one["MemorySize"] / 1024
                    for one in _of_type(there, "AWS::Serverless::Function")
                },
                machine=yaml.safe_load(machine.read_text()),
                alarm_metrics=sum(map(_metrics, _of_type(there, "AWS::CloudWatch::Alarm"))),
                dashboards=len(_of_type(there, "AWS::CloudWatch::Dashboard")),
                # Those that it makes, and those that it is given.
                secrets=len(_of_type(there, "AWS::SecretsManager::Secret"))
                + sum(1 for name, value in parameters.items() if name.endswith("SecretArn") and value),
                keys=len(_of_type(there, "AWS::KMS::Key")),
            )
        except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as wrong:
            told = f"{path} is not Penstock's template: {wrong!r}. Name it with --from-template"
            raise PermanentError(told) from None

    def seconds(self, name: str) -> float:
        return float(self.parameters[name])


def _there(source: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Resources whose condition holds."""
    conditions = source.get("Conditions", {})

    def value(node: Any) -> Any:
        match node:
            case {"Ref": name}:
                return parameters.get(name, "")
            case {"Condition": name}:
                return value(conditions[name])
            case {"Fn::Equals": [left, right]}:
                return value(left) == value(right)
            case {"Fn::Not": [inner]}:
                return not value(inner)
            case {"Fn::And": inners}:
                return all(value(inner) for inner in inners)
            case {"Fn::Or": inners}:
                return any(value(inner) for inner in inners)
            case {"Fn::Join": [_, {"Ref": name}]}:  # A list parameter, which is a text here already.
                return parameters[name]
        return node

    return {
        name: one
        for name, one in source["Resources"].items()
        if "Condition" not in one or value({"Condition": one["Condition"]})
    }


def _of_type(there: Mapping[str, Any], kind: str) -> list[Any]:
    """Their properties."""
    return [one["Properties"] for one in there.values() if one["Type"] == kind]


def _metrics(alarm: Mapping[str, Any]) -> int:
    """A query counts as one here; it is billed for all metrics that it finds: those of a stream's shards."""
    return sum("MetricStat" in one for one in alarm.get("Metrics", ())) or 1
