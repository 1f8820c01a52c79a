"""Turns what pydantic refuses in a dataset's or a view's file into sentences with file, line and path."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from enum import EnumMeta
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from penstock.model.datasets import Dataset

_Location = tuple[int | str, ...]


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong with a file. `line` is from 1; `where` is the path in the YAML, or empty."""

    path: Path
    line: int
    where: str
    text: str

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        return f"{self.path}:{self.line}: {where}{self.text}"


def faults_of(path: Path, error: ValidationError, model: type[BaseModel] = Dataset) -> Iterator[Fault]:
    """`model` is what the file was held against: its fields are named where one is misspelt."""
    root = _compose(path)
    for details in error.errors(include_url=False):
        # A check over the whole dataset says itself which part of it is at fault (`MisplacedError`).
        at = getattr(details.get("ctx", {}).get("error"), "at", ())
        location: _Location = (*details["loc"], *at)
        yield Fault(
            path, _line(root, location), ".".join(str(part) for part in location), _text(details, location, model)
        )


def line_of(path: Path, *location: int | str) -> int:
    """The line on which `location` stands in the file, or the nearest thing around it that is there."""
    return _line(_compose(path), location)


def duplicate_keys(node: yaml.Node | None, where: str = "") -> list[tuple[str, int, int]]:
    """Keys that a mapping has twice, which YAML lets pass and keeps the last of: path, line, line of the first."""
    found: list[tuple[str, int, int]] = []
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            name = f"{where}{key.value}" if isinstance(key, yaml.ScalarNode) else where
            line = key.start_mark.line + 1
            if name in lines:
                found.append((name, line, lines[name]))
            lines.setdefault(name, line)
            found += duplicate_keys(value, f"{name}.")
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            found += duplicate_keys(item, f"{where}{number}.")
    return found


def _compose(path: Path) -> yaml.Node | None:
    return yaml.compose(path.read_bytes(), Loader=yaml.SafeLoader)


def _line(node: yaml.Node | None, location: _Location) -> int:
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pairs = {key.value: (key, value) for key, value in node.value}
            if part not in pairs:
                break
            key, node = pairs[part]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _text(details: Any, location: _Location, model: type[BaseModel]) -> str:
    value, kind = details["input"], details["type"]
    match kind:
        case "extra_forbidden":
            known = _fields(_annotation(model, location[:-1]))
            return f"is no field here{_meant(location[-1], known)}. The fields are {', '.join(known)}"
        case "missing":
            return "is missing"
        case "enum" | "literal_error":
            choices = _choices(_annotation(model, location))
            return f"{value!r} is not one of {', '.join(choices)}{_meant(value, choices)}"
        case "value_error":
            return str(details["ctx"]["error"])
        case "string_pattern_mismatch":
            return f"{value!r} does not match {details['ctx']['pattern']}: {_NAMES}"
        case "string_type" if isinstance(value, bool):
            return f"{str(value).lower()} is a truth to YAML 1.1, as are yes, no, on and off; put the text in quotes"
        case "string_type":
            return f"{value!r} is no text; put it in quotes"
        case "int_parsing" | "int_type" if location[-1:] == ("max_bytes",):
            return f"{value!r} is no size; write a number of bytes, or one with a unit, as 256 MiB"
        case _:
            return f"{value!r}: {details['msg'][:1].lower()}{details['msg'][1:]}"


_NAMES = "lower-case letters, digits and underscores, a letter first"


def _meant(value: Any, known: list[str]) -> str:
    close = difflib.get_close_matches(str(value).lower(), known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _fields(model: Any) -> list[str]:
    if isinstance(model, type) and issubclass(model, BaseModel):
        return [field.alias or name for name, field in model.model_fields.items()]
    return []


def _choices(annotation: Any) -> list[str]:
    if isinstance(annotation, EnumMeta):
        return [str(choice.value) for choice in typing.cast("Any", annotation)]
    return [str(choice) for choice in typing.get_args(annotation)]


def _annotation(model: type[BaseModel], location: _Location) -> Any:
    """The type that `model` declares at `location`, without Optional, Annotated and the tuple around it."""
    annotation: Any = model
    for part in location:
        if isinstance(part, int):
            continue
        fields = annotation.model_fields if hasattr(annotation, "model_fields") else {}
        found = next((field for name, field in fields.items() if part in (name, field.alias)), None)
        if found is None:
            return None
        annotation = _bare(found.annotation)
    return annotation


def _bare(annotation: Any) -> Any:
    while typing.get_origin(annotation) in (typing.Annotated, typing.Union, types.UnionType, tuple):
        inner = [
            argument
            for argument in typing.get_args(annotation)
            if argument is not type(None) and argument is not Ellipsis
        ]
        annotation = inner[0]
    return annotation
