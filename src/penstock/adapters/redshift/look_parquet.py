"""Whether COPY may read a Parquet file as it lies in S3, told by its footer; else Penstock reads it, row by row.

COPY takes a Parquet file's columns by their place and each as the type that it has there, converts nothing, and is
silent where it reads a value for another: a timestamp that counts nanoseconds becomes one of the year 161065. So it is
given what is known to mean the same on both sides, in a temporary table of just those columns (`copy_parquet`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from penstock.adapters.redshift.look import UNCHECKED, Shape
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Column, ColumnType, Dataset
from penstock.model.parquet import parquet_footer
from penstock.model.parquet_thrift import Chunk
from penstock.ports import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_BITS: Mapping[str, int] = {ColumnType.SMALLINT: 15, ColumnType.INTEGER: 31, ColumnType.BIGINT: 63}
_DIGITS, _SCALE = 28, 10
"""Of a NUMERIC(38,10), before its point and behind."""


def look_parquet(arrival: Arrival, dataset: Dataset, store: ObjectStore) -> Shape | None:
    """None for a file that Penstock has to read. Raises BadFileError for one that no one can."""
    with store.open(arrival) as stream:
        schema, leaves, footer = parquet_footer(stream, dataset)
    # A file that was retried has failed before: it is read with care.
    if arrival.retry or any(column.type in UNCHECKED for column in dataset.columns):
        return None
    by_name = {column.in_file: column for column in dataset.columns}
    columns = tuple(by_name[name] for name in schema.names)
    types = tuple(
        _copied_as(schema.field(place).type, leaves.column(place), column) for place, column in enumerate(columns)
    )
    if not all(types) or any(
        _is_refused(chunk, column, type_)
        for group in footer.groups
        for chunk, column, type_ in zip(group.chunks, columns, types, strict=True)
    ):
        return None
    return Shape(columns, "", types, footer.rows)


def _copied_as(type_: pa.DataType, leaf: pq.ColumnSchema, column: Column) -> str:
    """What COPY takes the file's column as, for a column of the table that holds just that; empty for none."""
    import pyarrow as pa

    from penstock.model.parquet_types import is_text, plain

    type_ = plain(type_)
    if is_text(type_):
        return "VARCHAR(65535)" if column.type is ColumnType.TEXT else ""
    if pa.types.is_decimal128(type_) and column.type is ColumnType.NUMERIC:
        fits = 0 <= type_.scale <= _SCALE and type_.precision - type_.scale <= _DIGITS
        return f"NUMERIC({type_.precision},{type_.scale})" if fits else ""
    if pa.types.is_timestamp(type_) and column.type in (ColumnType.TIMESTAMP, ColumnType.TIMESTAMPTZ):
        # Both as the time in UTC. Of the legacy INT96 and of microseconds alone it is known that they are read right.
        known = leaf.physical_type == "INT96" or "timeUnit=microseconds" in str(leaf.logical_type)
        return "TIMESTAMP" if known else ""
    return _EXACT.get((str(type_), column.type), "")


_EXACT: Mapping[tuple[str, ColumnType], str] = {
    **{("int16", ColumnType(one)): "SMALLINT" for one in _BITS},
    **{("int32", ColumnType(one)): "INTEGER" for one in _BITS},
    **{("int64", ColumnType(one)): "BIGINT" for one in _BITS},
    ("float", ColumnType.REAL): "REAL",
    ("double", ColumnType.DOUBLE): "DOUBLE PRECISION",
    ("bool", ColumnType.BOOLEAN): "BOOLEAN",
    ("date32[day]", ColumnType.DATE): "DATE",
}
"""By pyarrow's name for the file's type."""


def _is_refused(known: Chunk, column: Column, in_file: str) -> bool:
    """Whether the table would not take some row, or nothing says that it would. What is a lie, the load finds."""
    if column.required and known.nulls:
        return True
    bits = _BITS.get(column.type, 64)
    if _BITS.get(in_file.lower(), 0) <= bits:
        return False
    if not known.least or not known.most:
        return True
    least, most = (int.from_bytes(one, "little", signed=True) for one in (known.least, known.most))
    bound: int = 2**bits
    return least < -bound or most >= bound
