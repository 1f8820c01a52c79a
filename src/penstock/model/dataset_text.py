"""Writes a dataset's YAML as a person would: one line for each column, and no field that says the default."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from penstock.model.dataset_schema import SCHEMA_FILE
from penstock.model.datasets import Column, Csv, Format


def dataset_text(
    name: str,
    format: Format,
    csv: Csv,
    null_markers: Sequence[str],
    columns: Sequence[Column],
) -> str:
    """`name` may be any text; what it becomes is also the prefix, the table and the index."""
    name = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "dataset"
    name = name if name[0].isalpha() else f"d_{name}"
    lines = [
        f"# yaml-language-server: $schema={SCHEMA_FILE}",
        f"name: {name}",
        f"prefix: {name}/",
        f"format: {format}",
    ]
    if format is Format.CSV:
        dialect = csv.model_dump(exclude_defaults=True)
        if dialect:
            lines.append(f"csv: {_flow(dialect)}")
        if tuple(null_markers) != ("",):
            lines.append(f"null_markers: {_flow(list(null_markers))}")
    lines.append("columns:")
    for column in columns:
        source = f", source: {_flow(column.source)}" if column.source is not None else ""
        lines.append(f"  - {{name: {_word(column.name)}, type: {column.type}{source}}}")
    return "\n".join([*lines, f"table: public.{name}", f"index: {name}"]) + "\n"


def _flow(value: object) -> str:
    """JSON is YAML, and leaves nothing to be taken for a truth or a number."""
    return json.dumps(value, ensure_ascii=False)


def _word(name: str) -> str:
    return _flow(name) if name in {"y", "n", "yes", "no", "on", "off", "true", "false", "null"} else name
