"""What of template.yaml costs something or decides what does, for some parameters; nothing is asked of AWS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from penstock.local.template_rules import refusals
from penstock.model.errors import PermanentError


@dataclass(frozen=True)
class StackTemplate:
    """`memory` is of each function, in GB, by its name (`begin_load`, …)."""

    parameters: Mapping[str, str]
    memory: Mapping[str, float]
    machine: Mapping[str, Any]
    """The ingest state machine's definition."""
    resources: Mapping[str, Sequence[Mapping[str, Any]]]
    """Properties of each that is made, by type; those of nested stacks too."""
    refused: Sequence[str] = ()
    """Why a deployment with these parameters would not be begun."""

    @classmethod
    def read(cls, path: Path, given: Mapping[str, str]) -> StackTemplate:
        """Raises PermanentError for a parameter that the template does not have or allow, and for no such template."""
        try:
            source = _parsed(path)
            parameters = _parameters(source, given, path)
            there = _there(source, parameters)
            machine = path.parent / there["IngestStateMachine"]["Properties"]["DefinitionUri"]
            resources: dict[str, list[Mapping[str, Any]]] = {}
            for kind, properties in _deep(path, source, parameters):
                resources.setdefault(kind, []).append(properties)
            return cls(
                parameters=parameters,
                memory={
                    Path(one["CodeUri"]).name: one["MemorySize"] / 1024
                    for one in resources["AWS::Serverless::Function"]
                },
                machine=yaml.safe_load(machine.read_text()),
                resources=resources,
                refused=[one.why for one in refusals(source, given)],
            )
        except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as wrong:
            why = type(wrong).__name__ if isinstance(wrong, yaml.YAMLError) else repr(wrong)
            told = f"{path} is not Penstock's template: {why}. Name it with --from-template"
            raise PermanentError(told) from None

    def of(self, kind: str) -> Sequence[Mapping[str, Any]]:
        """The properties of all of a type, as `Kinesis::Stream`."""
        return self.resources.get(f"AWS::{kind}", ())

    def number(self, name: str) -> float:
        return float(self.parameters[name])

    @property
    def alarm_metrics(self) -> int:
        """An alarm is billed for each metric that it looks at."""
        return sum(map(_metrics, self.of("CloudWatch::Alarm")))

    @property
    def alarm_queries(self) -> int:
        """Alarms on a query, which are billed for each metric that it finds: here that of each shard."""
        return sum(not _metrics(one) for one in self.of("CloudWatch::Alarm"))

    @property
    def secrets(self) -> int:
        """Those that it makes, also for a database's administrator, and those that it is given."""
        made = len(self.of("SecretsManager::Secret"))
        made += sum(one.get("ManageMasterUserPassword") is True for one in self.of("RDS::DBCluster"))
        return made + sum(1 for name, value in self.parameters.items() if name.endswith("SecretArn") and value)

    @property
    def interfaces(self) -> int:
        """Endpoints to services, one in each of their subnets: by which they are billed, every hour."""
        ends = self.of("EC2::VPCEndpoint")
        return sum(len(one["SubnetIds"]) for one in ends if one["VpcEndpointType"] == "Interface")


def _parsed(path: Path) -> Mapping[str, Any]:
    return _of_text(path.read_text())


@cache  # It takes a second, and whoever compares parameters reads it a dozen times.
def _of_text(text: str) -> Mapping[str, Any]:
    from samtranslator.yaml_helper import yaml_parse

    parsed: Mapping[str, Any] = yaml_parse(text)
    return parsed


def _parameters(source: Mapping[str, Any], given: Mapping[str, str], path: Path) -> Mapping[str, str]:
    known = source["Parameters"]
    if unknown := given.keys() - known.keys():
        raise PermanentError(f"{path} has no parameter {', '.join(sorted(unknown))}")
    for name, value in given.items():
        allowed = [str(one) for one in known[name].get("AllowedValues", ())]
        if allowed and value not in allowed:
            raise PermanentError(f"--parameter {name}={value}: it is one of {', '.join(allowed)}")
        if known[name]["Type"] == "Number":
            _check_number(name, value, known[name])
    return {name: str(one.get("Default", "")) for name, one in known.items()} | dict(given)


def _check_number(name: str, value: str, bounds: Mapping[str, Any]) -> None:
    least, most = bounds.get("MinValue", float("-inf")), bounds.get("MaxValue", float("inf"))
    try:
        within = least <= float(value) <= most
    except ValueError:
        raise PermanentError(f"--parameter {name}={value}: it is a number") from None
    if not within:
        raise PermanentError(f"--parameter {name}={value}: it is from {least:,} to {most:,}")


def _deep(
    path: Path, source: Mapping[str, Any], parameters: Mapping[str, str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Type and properties of each resource whose condition holds, of nested stacks as well."""
    for one in _there(source, parameters).values():
        properties = one.get("Properties", {})
        yield one["Type"], properties
        if one["Type"] == "AWS::CloudFormation::Stack":
            nested = path.parent / properties["TemplateURL"]
            inner = _parsed(nested)
            given = {
                name: str(_value(source, parameters, value)) for name, value in properties.get("Parameters", {}).items()
            }
            yield from _deep(nested, inner, _parameters(inner, given, nested))


def _there(source: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Resources whose condition holds."""
    return {
        name: one
        for name, one in source["Resources"].items()
        if "Condition" not in one or _value(source, parameters, {"Condition": one["Condition"]})
    }


def _value(source: Mapping[str, Any], parameters: Mapping[str, str], node: Any) -> Any:
    """What only exists once deployed reads as its name."""

    def value(node: Any) -> Any:
        match node:
            case {"Ref": name}:
                return parameters.get(name, name)
            case {"Condition": name}:
                return value(source["Conditions"][name])
            case {"Fn::Equals": [left, right]}:
                return value(left) == value(right)
            case {"Fn::Not": [inner]}:
                return not value(inner)
            case {"Fn::And": inners}:
                return all(value(inner) for inner in inners)
            case {"Fn::Or": inners}:
                return any(value(inner) for inner in inners)
            case {"Fn::If": [name, yes, no]}:
                return value(yes if value({"Condition": name}) else no)
            case {"Fn::Join": [_, {"Ref": name}]}:  # A list parameter, which is a text here already.
                return parameters[name]
            case {"Fn::Join": [between, parts]}:
                return between.join(str(value(part)) for part in parts)
            case {"Fn::GetAtt": parts}:
                return ".".join(parts)
        return node

    return value(node)


def _metrics(alarm: Mapping[str, Any]) -> int:
    """0 of an alarm on a query."""
    if any("SELECT" in str(one.get("Expression", "")) for one in alarm.get("Metrics", ())):
        return 0
    return sum("MetricStat" in one for one in alarm.get("Metrics", ())) or 1
