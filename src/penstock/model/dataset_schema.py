"""The JSON Schema of `datasets/<name>.yaml`, which editors complete from (`datasets/dataset.schema.json`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from penstock.model.datasets import Dataset

SCHEMA_FILE = "dataset.schema.json"


def dataset_schema() -> dict[str, Any]:
    """What pydantic says of the models, and the short forms that their validators take before it looks."""
    schema = Dataset.model_json_schema(by_alias=True)
    models, fields = schema["$defs"], schema["properties"]
    name = models["Table"]["properties"]["name"]["pattern"].strip("^$")
    _also(fields["table"], {"type": "string", "pattern": rf"^({name}\.)?{name}$", "description": "schema.name"})
    _also(fields["index"], {"type": "string", "pattern": models["Index"]["properties"]["name"]["pattern"]})
    _size(models["BatchLimits"]["properties"]["max_bytes"])
    _size(models["FileLimits"]["properties"]["max_uncompressed"])
    _size(models["FileLimits"]["properties"]["max_row"])
    _size(models["Flush"]["properties"]["bytes"])
    _size(models["Pace"]["properties"]["max_bytes"])
    _exactly_one(models["KickOff"], "rebuild_views", "data_pipeline", "state_machine")
    schema["anyOf"] = [{"required": ["table"]}, {"required": ["index"]}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Written by `penstock schema`; change src/penstock/model/datasets.py, not this.",
        **schema,
    }


def schema_text() -> str:
    return json.dumps(dataset_schema(), indent=2, ensure_ascii=False) + "\n"


def write_schema(folder: Path) -> tuple[Path, bool]:
    """Writes it into `folder`; where it is, and whether it was not current."""
    path = folder / SCHEMA_FILE
    text = schema_text()
    changed = not path.exists() or path.read_text() != text
    if changed:
        path.write_text(text)
    return path, changed


def _size(field: dict[str, Any]) -> None:
    # pydantic writes a bound that stands behind a validator as `gt` or `le`, which are no words of JSON Schema.
    words = {"gt": "exclusiveMinimum", "ge": "minimum", "le": "maximum"}
    bounds = {words.get(name, name): field.pop(name) for name in (*words, *words.values()) if name in field}
    number = {"type": field.pop("type"), **bounds}
    units = {"type": "string", "pattern": "^ *[0-9]+ *([kKmMgG][iI]?)?[bB]? *$", "examples": ["256 MiB"]}
    field["anyOf"] = [number, units]


def _also(field: dict[str, Any], form: dict[str, Any]) -> None:
    field["anyOf"] = [form, *field["anyOf"]]


def _exactly_one(model: dict[str, Any], *names: str) -> None:
    model["oneOf"] = [{"required": [name]} for name in names]
