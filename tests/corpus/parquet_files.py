"""Parquet files of dataset `tables`, as the cases bend them."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TYPES = {
    "id": pa.int32(),
    "name": pa.string(),
    "born": pa.date32(),
    "sum": pa.decimal128(10, 2),
    "at": pa.timestamp("us", "UTC"),
    "data": pa.struct([("tags", pa.list_(pa.string()))]),
}
"""As `parquet` writes them."""


def parquet(more: dict[str, Any] | None = None, without: str = "", **write: Any) -> bytes:
    """Two good rows of dataset `tables`, with these columns in the place of its own."""
    columns: dict[str, Any] = {
        "id": pa.array([1, 2], pa.int32()),
        "name": ["Ada", None],
        "born": pa.array([date(1815, 12, 10), None]),
        "sum": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
        "at": pa.array([datetime(2024, 2, 29, 13, 30, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
        "data": pa.array([{"tags": ["a"]}, None]),
        **(more or {}),
    }
    columns.pop(without, None)
    return written(columns, **write)


def written(columns: dict[str, Any], **write: Any) -> bytes:
    """`write` is as pyarrow's `write_table` has it."""
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **write)
    return file.getvalue()
