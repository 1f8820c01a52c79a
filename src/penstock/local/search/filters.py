"""`filter_path`: the part of an answer that the caller wants."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Any

_NOTHING = object()


def filtered(answer: dict[str, Any], paths: str) -> Any:
    """What the comma-separated paths name (`items.*.status`); an array's elements are looked into as they are."""
    kept = _kept(answer, [path.split(".") for path in paths.split(",")])
    return {} if kept is _NOTHING else kept


def _kept(value: Any, paths: Sequence[Sequence[str]]) -> Any:
    if any(not path for path in paths):
        return value
    if isinstance(value, list):
        elements = [found for one in value if (found := _kept(one, paths)) is not _NOTHING]
        return elements or _NOTHING
    if not isinstance(value, dict):
        return _NOTHING
    found = {}
    for key, inner in value.items():
        rest = [
            path[1:]
            for path in paths
            if path[0] in (key, "*") or ("*" in path[0] and fnmatch.fnmatchcase(key, path[0]))
        ]
        if rest and (kept := _kept(inner, rest)) is not _NOTHING:
            found[key] = kept
    return found or _NOTHING
