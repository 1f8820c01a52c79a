"""The datasets that the corpus' files are put to; most have a table and an index, so both branches see each file."""

from __future__ import annotations

from typing import Any

from tests.corpus.parquet_files import parquet

from penstock.model.datasets import Dataset

_PEOPLE: list[dict[str, Any]] = [
    {"name": "id", "type": "integer", "required": True},
    {"name": "name", "type": "text"},
    {"name": "born", "type": "date"},
]
_TABLES = [
    *_PEOPLE,
    {"name": "sum", "type": "numeric"},
    {"name": "at", "type": "timestamptz"},
    {"name": "data", "type": "json"},
]
_TYPES = {
    "small": "smallint",
    "whole": "integer",
    "big": "bigint",
    "exact": "numeric",
    "single": "real",
    "double": "double",
    "flag": "boolean",
    "day": "date",
    "local": "timestamp",
    "moment": "timestamptz",
    "uid": "uuid",
    "doc": "json",
    "words": "text",
}


def _dataset(name: str, columns: list[dict[str, Any]], **more: Any) -> Dataset:
    return Dataset.model_validate(
        {
            "name": name,
            "prefix": f"{name}/",
            "format": "csv",
            "columns": columns,
            "table": f"corpus.{name}",
            "index": name,
            "max_reject_ratio": 0.9,
            **more,
        }
    )


DATASETS = {
    dataset.name: dataset
    for dataset in (
        _dataset("people", _PEOPLE),
        _dataset("strict", _PEOPLE, max_reject_ratio=0),
        _dataset("small", _PEOPLE, limits={"max_uncompressed": "1 MiB", "max_row": "1 MiB"}),
        _dataset("latin", _PEOPLE, csv={"encoding": "latin-1"}),
        _dataset("american", _PEOPLE, date_order="mdy"),
        _dataset("types", [{"name": name, "type": kind} for name, kind in _TYPES.items()]),
        _dataset(
            "events", [*_PEOPLE, {"name": "sum", "type": "numeric"}, {"name": "data", "type": "json"}], format="jsonl"
        ),
        _dataset(
            "arrays", [*_PEOPLE, {"name": "sum", "type": "numeric"}, {"name": "data", "type": "json"}], format="json"
        ),
        _dataset("lists", [*_PEOPLE, {"name": "ok", "type": "boolean"}], format="json"),
        _dataset("short", _PEOPLE, format="json", limits={"max_row": "1 MiB"}),
        _dataset("tables", _TABLES, format="parquet", limits={"max_uncompressed": "64 MiB"}),
        _dataset("narrow", _TABLES, format="parquet", limits={"max_row_group": "1 MiB"}),
        _dataset("indexed", _PEOPLE, table=None),
        _dataset("notes", [*_PEOPLE, {"name": "ok", "type": "boolean"}], format="jsonl", table=None),
        _dataset("clicks", [*_PEOPLE, {"name": "ok", "type": "boolean"}], format="jsonl"),
    )
}

GOOD = {
    "people": b"id,name,born\n1,Ada,1815-12-10\n2,,\n",
    "strict": b"id,name,born\n1,Ada,1815-12-10\n2,,\n",
    "small": b"id,name,born\n1,Ada,1815-12-10\n2,,\n",
    "latin": "id,name,born\n1,Zoë,1815-12-10\n2,,\n".encode("latin-1"),
    "american": b"id,name,born\n1,Ada,12/10/1815\n2,,\n",
    "types": ",".join(_TYPES).encode()
    + b"\n"
    + b"1"
    + b"," * (len(_TYPES) - 1)
    + b"\n"
    + b"," * (len(_TYPES) - 1)
    + b"\n",
    "events": b'{"id": 1, "name": "Ada", "sum": 1.50}\n{"id": 2}\n',
    "arrays": b'[{"id": 1, "name": "Ada", "sum": 1.50},\n {"id": 2}]\n',
    "lists": b'[{"id": 1, "name": "Ada", "ok": true}, {"id": 2}]',
    "short": b'[{"id": 1, "name": "Ada"}, {"id": 2}]',
    "tables": parquet(),
    "narrow": parquet(),
    "indexed": b"id,name,born\n1,Ada,1815-12-10\n2,,\n",
    "notes": b'{"id": 1, "name": "Ada", "ok": true}\n{"id": 2}\n',
    "clicks": b'{"id": 1, "name": "Ada", "ok": true}\n{"id": 2}\n',
}
"""A neighbour of two rows for each; good ones stand before and behind each bad file in its batch."""


def typed(column: str, *values: str) -> bytes:
    """A file of dataset `types`, a row for each value of the column; its other columns are empty."""
    names = list(_TYPES)
    at = names.index(column)
    rows = [
        ",".join('"' + value.replace('"', '""') + '"' if place == at else "" for place in range(len(names)))
        for value in values
    ]
    return "".join(f"{line}\n" for line in [",".join(names), *rows]).encode()
