"""What a dataset's index looks like: its mapping, its template, and where an index that is there disagrees with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.model.datasets import LINEAGE, ColumnType, Dataset, DateOrder, Index
from penstock.model.judging import advice

DATE_FORMAT = "strict_date_optional_time"
"""Of dates as well: OpenSearch's `strict_date` takes any digits, as 2013-13-32 (seen on 2.19)."""

_TEXT = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
_FIELDS: Mapping[ColumnType, Mapping[str, Any]] = {
    ColumnType.TEXT: _TEXT,
    ColumnType.SMALLINT: {"type": "short"},
    ColumnType.INTEGER: {"type": "integer"},
    ColumnType.BIGINT: {"type": "long"},
    # Compared as a double; the document's source keeps all the digits.
    ColumnType.NUMERIC: {"type": "double"},
    ColumnType.REAL: {"type": "float"},
    ColumnType.DOUBLE: {"type": "double"},
    ColumnType.BOOLEAN: {"type": "boolean"},
    ColumnType.DATE: {"type": "date", "format": DATE_FORMAT},
    ColumnType.TIMESTAMP: {"type": "date", "format": DATE_FORMAT},
    ColumnType.TIMESTAMPTZ: {"type": "date", "format": DATE_FORMAT},
    ColumnType.UUID: {"type": "keyword"},
    # Kept and not searched: what is inside a JSON column differs from row to row, and fields of one name would clash.
    ColumnType.JSON: {"type": "object", "enabled": False},
}

ADVICE: Mapping[str, str] = {
    # From the end, so that a field of type date is told as a date, and not with a time.
    **{field["type"]: advice(type_, DateOrder.YMD) for type_, field in reversed([*_FIELDS.items()])},
    "text": "; write a text: one value, in quotes",
}
"""What to do about a value that a field refuses, by the field's type: the end of a reason."""


def mapping_of(dataset: Dataset) -> dict[str, Any]:
    """The index's mapping. `dynamic: false`: a field that the dataset does not name is kept, never guessed at."""
    properties = {column.name: dict(_FIELDS[column.type]) for column in dataset.document_columns}
    properties[LINEAGE[0]] = {"type": "keyword"}
    properties[LINEAGE[1]] = {"type": "date", "format": DATE_FORMAT}
    return {"dynamic": False, "properties": properties}


def template_name(dataset: Dataset) -> str:
    return f"penstock-{dataset.name}"


def template_of(dataset: Dataset, index: Index) -> dict[str, Any]:
    """The index template, so that an index that was deleted comes back with its mapping at the next document."""
    return {
        "index_patterns": [index.name],
        "priority": 500,
        "template": {"mappings": mapping_of(dataset)},
        "_meta": {"managed_by": "penstock", "dataset": dataset.name, "mapping": mapping_of(dataset)},
    }


def missing_fields(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """The properties that the index does not have yet; they can be added to it."""
    return {name: field for name, field in wanted.items() if name not in there}


def conflicts(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """The fields whose type in the index is another, in words. A field's type can't be changed in place."""
    return [
        f"{name} is {_kind(there[name])} in the index and {_kind(field)} in the dataset"
        for name, field in wanted.items()
        if name in there and _kind(there[name]) != _kind(field)
    ]


def _kind(field: Mapping[str, Any]) -> str:
    kind = str(field.get("type", "object"))
    return f"{kind} (not enabled)" if field.get("enabled") in (False, "false") else kind
