"""The state machine's definition as JSON, filled as the template fills it, for checkers that read nothing else.

`python -m tests.template.definition_json FILE` writes it; `make check` gives it to asl-validator.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from tests.template.deployment import PSEUDO, REPOSITORY, deployed

DEFINITION = REPOSITORY / "statemachines" / "ingest.asl.yaml"

_ARN = "arn:aws:{}:{}:{}:{}"


def definition() -> dict[str, Any]:
    """Filled in the text, before YAML reads it, as Step Functions does it: a number stays a number."""
    text = re.sub(r"\$\{(\w+)\}", lambda placeholder: _value(placeholder[1]), DEFINITION.read_text())
    filled: dict[str, Any] = yaml.safe_load(text)
    return filled


def _value(placeholder: str) -> str:
    """What the template puts there, by default. KeyError for a placeholder that it does not know."""
    value = str(deployed("as it comes")["IngestStateMachine"]["Properties"]["DefinitionSubstitutions"][placeholder])
    name = value.removesuffix(".Arn")
    if value != name:
        return _arn("lambda", f"function:{name}")
    return _arn("sns", name) if placeholder.endswith("Arn") else value


def _arn(service: str, resource: str) -> str:
    return _ARN.format(service, PSEUDO["AWS::Region"], PSEUDO["AWS::AccountId"], resource)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(definition(), indent=2))
