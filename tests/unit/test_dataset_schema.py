"""The JSON Schema that editors complete from is current, and takes what Penstock takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from penstock.model.dataset_schema import SCHEMA_FILE, dataset_schema, schema_text, write_schema
from penstock.model.datasets import Dataset

DATASETS = Path(__file__).parents[2] / "datasets"

LEAST: dict[str, Any] = {
    "name": "flights",
    "prefix": "flights/",
    "format": "csv",
    "columns": [{"name": "year", "type": "smallint"}],
    "table": "public.flights",
}


def accepts(definition: dict[str, Any]) -> bool:
    return bool(jsonschema.Draft202012Validator(dataset_schema()).is_valid(definition))


def test_the_schema_in_the_repository_is_current() -> None:
    assert (DATASETS / SCHEMA_FILE).read_text() == schema_text(), "run `penstock schema`"


def test_writing_it_again_changes_nothing(tmp_path: Path) -> None:
    first = write_schema(tmp_path)
    again = write_schema(tmp_path)

    assert first == (tmp_path / SCHEMA_FILE, True)
    assert again == (tmp_path / SCHEMA_FILE, False)


def test_it_is_a_valid_schema_that_needs_no_network() -> None:
    schema = json.loads(schema_text())

    jsonschema.Draft202012Validator.check_schema(schema)
    assert '"$ref": "http' not in schema_text()


@pytest.mark.parametrize("path", sorted(DATASETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_repository_s_datasets_satisfy_it_and_point_their_editor_to_it(path: Path) -> None:
    assert path.read_text().startswith(f"# yaml-language-server: $schema={SCHEMA_FILE}\n")
    jsonschema.validate(yaml.safe_load(path.read_text()), dataset_schema())


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"table": "flights"},
        {"table": {"schema": "raw", "name": "flights"}},
        {"index": "flights"},
        {"index": {"name": "flights", "id_columns": ["year"]}},
        {"batch": {"max_bytes": "64 MiB"}},
        {"batch": {"max_bytes": 1000}},
        {"batch": {"max_bytes": "10gb"}},
        {"kick_off": {"data_pipeline": True}},
        {"kick_off": {"state_machine": "rebuild", "parameters": {"a": "b"}}},
    ],
)
def test_it_takes_the_long_and_the_short_forms_that_the_model_takes(more: dict[str, Any]) -> None:
    definition = {**LEAST, **more}

    Dataset.model_validate(definition)
    assert accepts(definition)


@pytest.mark.parametrize(
    "more",
    [
        {"tabel": "flights"},
        {"table": "a.b.c"},
        {"table": "Flights"},
        {"index": "No Spaces"},
        {"batch": {"max_bytes": "much"}},
        {"batch": {"max_bytes": 0}},
        {"kick_off": {}},
        {"kick_off": {"data_pipeline": True, "state_machine": "rebuild"}},
        {"format": "xml"},
    ],
)
def test_it_refuses_what_the_model_refuses(more: dict[str, Any]) -> None:
    definition = {**LEAST, **more}

    with pytest.raises(ValueError, match="validation error"):
        Dataset.model_validate(definition)
    assert not accepts(definition)


def test_a_dataset_without_a_destination_is_refused() -> None:
    assert not accepts({name: value for name, value in LEAST.items() if name != "table"})
