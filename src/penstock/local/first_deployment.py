"""What has to be right before `sam deploy`, found out before it, and what a person's answers become."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.model.errors import PermanentError

_WANTED = {
    "postgres": ("host", "dbname", "username", "password"),
    "redshift": ("username", "password"),
}
"""What a secret has to hold, by the warehouse that it is of."""
_LONGEST_NAME = 32
"""A rule's name has 64 characters: the stack's, a dash, `FailedRebuilds`, a dash and 13 that CloudFormation chooses."""


@dataclass(frozen=True)
class Place:
    """Where it will be deployed to, as who."""

    account: str
    region: str
    caller: str


@dataclass(frozen=True)
class Section:
    """One of samconfig.toml."""

    stack: str
    overrides: Mapping[str, str]

    @classmethod
    def read(cls, path: Path, name: str) -> Section:
        """Raises PermanentError for one that is not there."""
        known = tomllib.loads(path.read_text())
        if name not in known:
            told = ", ".join(one for one, value in known.items() if isinstance(value, dict))
            raise PermanentError(f"{path} has no section {name}; there are {told}. Name one with --env")
        given = known[name].get("deploy", {}).get("parameters", {}).get("parameter_overrides", [])
        stack = known[name]["global"]["parameters"]["stack_name"]
        if len(stack) > _LONGEST_NAME:
            raise PermanentError(
                f"{path} names the stack {stack}. Take {_LONGEST_NAME} characters at most: CloudFormation cuts a "
                "longer name short in its rules' names, and the queues take messages of rules that begin with it all"
            )
        return cls(stack, dict(one.split("=", 1) for one in given))


def parameters_of(template: Path) -> dict[str, dict[str, Any]]:
    from samtranslator.yaml_helper import yaml_parse

    read: dict[str, dict[str, Any]] = yaml_parse(template.read_text())["Parameters"]
    return read


def refusal(parameter: Mapping[str, Any], value: str) -> str:
    """Why CloudFormation would not take it, or nothing."""
    allowed = [str(one) for one in parameter.get("AllowedValues", [])]
    if allowed and value not in allowed:
        return f"takes {', '.join(allowed)}"
    if not re.search(parameter.get("AllowedPattern", ""), value):
        return str(parameter.get("ConstraintDescription", f"has to match {parameter['AllowedPattern']}"))
    return ""


def require_consistent(template: Path, values: Mapping[str, str]) -> None:
    """Raises PermanentError with what the template's own rules say to them."""
    from samtranslator.yaml_helper import yaml_parse

    from penstock.local.template_rules import refusals

    if said := refusals(yaml_parse(template.read_text()), values):
        told = "; ".join(one.why for one in said)
        raise PermanentError(f"the template would refuse this: {told}. Run it again, or name the rest by --parameter")


def require(command: str, why: str) -> str:
    """The path of a program. Raises PermanentError with where it comes from."""
    found = shutil.which(command)
    if found is None:
        raise PermanentError(f"there is no {command} on the PATH. {why}")
    return found


def build_options(runtime: str) -> list[str]:
    """What `sam build` is told, so that it has the functions' Python. Raises PermanentError where nothing has it."""
    if shutil.which(runtime):
        return []
    if shutil.which("docker"):
        return ["--use-container"]
    raise PermanentError(
        f"there is no {runtime} on the PATH, which sam build needs, and no docker that has it. Install one of them, "
        "or choose a Python that is here: --parameter PythonRuntime=python3.12"
    )


def place(session: Any) -> Place:
    """Of a boto3 session. Raises botocore's errors without credentials."""
    told = session.client("sts").get_caller_identity()
    return Place(told["Account"], session.region_name, told["Arn"])


def deployed_parameters(session: Any, stack: str) -> dict[str, str]:
    """Those of the stack, or none where there is no such stack yet."""
    from botocore.exceptions import ClientError

    try:
        (found,) = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return {}
    return {one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])}


def check_secret(session: Any, arn: str, warehouse: str) -> None:
    """Raises PermanentError where it can't be read or has not the shape; its values are never told."""
    from botocore.exceptions import ClientError

    wanted = _WANTED[warehouse]
    try:
        text = session.client("secretsmanager").get_secret_value(SecretId=arn).get("SecretString", "")
    except ClientError as error:
        raise PermanentError(f"secret {arn} can't be read: {error.response['Error']['Code']}") from None
    try:
        held = json.loads(text)
        missing = [name for name in wanted if not held.get(name)]
    except (ValueError, AttributeError):  # Their text may quote the secret.
        raise PermanentError(f"secret {arn} is no JSON object; it needs {', '.join(wanted)}") from None
    if missing:
        raise PermanentError(f"secret {arn} has no {', '.join(missing)}; it needs {', '.join(wanted)}")
