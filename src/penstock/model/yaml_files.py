"""A YAML file of a person's: a mapping, or the line at which it is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from penstock.model.dataset_faults import Fault, duplicate_keys

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_mapping(path: Path, faults: list[Fault]) -> dict[str, Any] | None:
    """What the file says; None, and a fault the more, where it is no YAML, no mapping, or says a thing twice."""
    text = path.read_bytes()
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            twice = duplicate_keys(node)
            raw = None if twice else loader.construct_document(node) if node else {}
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        faults.append(Fault(path, mark.line + 1 if mark else 1, "", f"is no YAML: {error.problem or error.context}"))
        return None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        faults.append(Fault(path, 1, "", f"is no YAML: {str(error).splitlines()[0]}"))
        return None
    if twice:
        faults.extend(
            Fault(path, line, where, f"stands here again; line {first} has it") for where, line, first in twice
        )
        return None
    if not isinstance(raw, dict):
        faults.append(Fault(path, 1, "", "is not a mapping of fields, as name: flights"))
        return None
    return raw
