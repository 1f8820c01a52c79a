"""The state machines' definitions as JSON, filled as the template fills them, for checkers that read nothing else.

`python -m tests.template.definition_json FOLDER` writes each into FOLDER, once for each way in which the template's
parameters can fill it, and nothing else is left there; `make check` gives all of them to asl-validator.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from tests.template.deployment import PSEUDO, REPOSITORY, VARIANTS, deployed, source

_ARNS = {
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::Lambda::Version": "lambda:{region}:{account}:function:{name}:1",
    "AWS::SNS::Topic": "sns:{region}:{account}:{name}",
    "AWS::ECS::TaskDefinition": "ecs:{region}:{account}:task-definition/{name}:1",
}


def machines() -> dict[str, Path]:
    """Those of template.yaml by their logical id, and the files of their definitions."""
    return {
        name: REPOSITORY / resource["Properties"]["DefinitionUri"]
        for name, resource in source()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::StateMachine"
    }


def definitions() -> dict[str, dict[str, Any]]:
    """`ingest.asl.json`, `ingest.1.asl.json`, …: each machine under every set of parameters, without repeats.

    Filled in the text, before YAML reads it, as Step Functions does it: a number stays a number.
    """
    found: dict[str, dict[str, Any]] = {}
    for machine, path in machines().items():
        filled: list[str] = []
        for variant in VARIANTS:
            text = _filled(path.read_text(), machine, deployed(variant))
            if text and text not in filled:
                filled.append(text)
        name = path.name.removesuffix(".asl.yaml")
        for n, text in enumerate(filled):
            found[f"{name}.{n}.asl.json" if n else f"{name}.asl.json"] = yaml.safe_load(text)
    return found


def _filled(text: str, machine: str, resources: dict[str, dict[str, Any]]) -> str:
    """Nothing where there is no such machine. KeyError for a placeholder that the template doesn't fill."""
    if machine not in resources:
        return ""
    given = resources[machine]["Properties"]["DefinitionSubstitutions"]
    return re.sub(r"\$\{(\w+)\}", lambda placeholder: _value(str(given[placeholder[1]]), resources), text)


def _value(given: str, resources: dict[str, dict[str, Any]]) -> str:
    """The ARN that a resource's name stands for, or what is given."""
    name = given.removesuffix(".Arn")
    pattern = _ARNS.get(resources.get(name, {}).get("Type", ""))
    if pattern is None:
        return given
    return "arn:aws:" + pattern.format(region=PSEUDO["AWS::Region"], account=PSEUDO["AWS::AccountId"], name=name)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.asl.json"):
        old.unlink()
    for file, definition in definitions().items():
        (folder / file).write_text(json.dumps(definition, indent=2))
