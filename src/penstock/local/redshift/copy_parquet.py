"""COPY … FORMAT AS PARQUET: columns by place, each of the very type that the table has, and nothing converted."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.local.redshift.copy_files import BadRow, Copy, CopyError, LoadError

_OPTIONS = {"FORMAT", "PATHS", "MANIFEST", "STATUPDATE"}
"""All of COPY's for columnar formats that Penstock has a use for."""

_TYPES = {
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "float": "real",
    "double": "double precision",
    "bool": "boolean",
    "date32[day]": "date",
    "string": "character varying(65535)",
}
"""What the table's column has to be, by pyarrow's name for the file's."""


def parquet_rows(
    connection: psycopg.Connection[Any], copy: Copy, uri: str, data: bytes
) -> Iterator[tuple[int, list[Any]]]:
    """Each row with its number. Raises CopyError, which names no file to sys_load_error_detail, for what is not the
    table's, and LoadError for what can't be read.
    """
    if unknown := [*(copy.options.keys() - _OPTIONS), *(["a list of columns"] if copy.columns else [])]:
        raise CopyError(f"{unknown[0]} is not supported for PARQUET based COPY")
    known = connection.execute(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        (copy.table,),
    ).fetchall()
    return _rows(uri, data, [name for (name,) in known])


def _rows(uri: str, data: bytes, types: list[str]) -> Iterator[tuple[int, list[Any]]]:
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        leaves = [file.schema.column(place) for place in range(len(file.schema))]
        _check(uri, file.schema_arrow, types)
        number = 0
        for batch in file.iter_batches(use_threads=False):
            columns = [_read(column, leaf).to_pylist() for column, leaf in zip(batch.columns, leaves, strict=True)]
            for row in zip(*columns, strict=True):
                number += 1
                yield number, list(row)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise LoadError(BadRow(uri, 0, "", 15001, f"Spectrum Scan Error: {type(error).__name__}")) from None


def _check(uri: str, schema: pa.Schema, types: list[str]) -> None:
    if len(schema) != len(types):
        raise CopyError("Number of columns in the target table and in the data file must match")
    for field, wanted in zip(schema, types, strict=True):
        type_ = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_decimal(type_):
            found = f"numeric({type_.precision},{type_.scale})"
        else:
            found = "timestamp without time zone" if pa.types.is_timestamp(type_) else _TYPES.get(str(type_), "")
        if found != wanted:
            raise CopyError(f"Spectrum Scan Error. File '{uri}' has an incompatible Parquet schema for a column")


def _read(column: Any, leaf: Any) -> Any:
    """A moment as its time in UTC; whatever counts its time in 64 bits is taken to count microseconds."""
    if not pa.types.is_timestamp(column.type):
        return column
    if leaf.physical_type != "INT96":
        return column.cast(pa.int64()).cast(pa.timestamp("us"))
    return column.cast(pa.timestamp("us"), safe=False)
