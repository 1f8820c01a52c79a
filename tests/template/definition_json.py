"""A state machine's definition as JSON, filled as the template fills it, for checkers that read nothing else.

`python -m tests.template.definition_json FOLDER/ingest.asl.json` writes it; `make check` gives it to asl-validator.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from tests.template.deployment import PSEUDO, REPOSITORY, deployed

DEFINITIONS = {
    f"{name}.asl.json": (REPOSITORY / "statemachines" / f"{name}.asl.yaml", f"{name.title()}StateMachine")
    for name in ("ingest", "backfill")
}
"""The file that is written → the definition, and its machine in template.yaml."""

_ARN = "arn:aws:{}:{}:{}:{}"


def definition(name: str = "ingest.asl.json") -> dict[str, Any]:
    """Filled in the text, before YAML reads it, as Step Functions does it: a number stays a number."""
    path, machine = DEFINITIONS[name]
    text = re.sub(r"\$\{(\w+)\}", lambda placeholder: _value(machine, placeholder[1]), path.read_text())
    filled: dict[str, Any] = yaml.safe_load(text)
    return filled


def _value(machine: str, placeholder: str) -> str:
    """What the template puts there, by default. KeyError for a placeholder that it does not know."""
    value = str(deployed("as it comes")[machine]["Properties"]["DefinitionSubstitutions"][placeholder])
    name = value.removesuffix(".Arn")
    if value != name:
        return _arn("lambda", f"function:{name}")
    return _arn("sns", name) if placeholder.endswith("Arn") else value


def _arn(service: str, resource: str) -> str:
    return _ARN.format(service, PSEUDO["AWS::Region"], PSEUDO["AWS::AccountId"], resource)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(json.dumps(definition(target.name), indent=2))
