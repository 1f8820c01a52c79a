"""What a Parquet file's types are to a dataset's columns, and its values as texts.

A text of a Parquet file is taken as a CSV's is: the destination judges it, row by row. Any other type has to be one
that its column holds without a change; else every row would be refused, and the file is, once.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from penstock.model.datasets import Column, ColumnType

_INTEGERS = frozenset({ColumnType.SMALLINT, ColumnType.INTEGER, ColumnType.BIGINT})
_FRACTIONS = frozenset({ColumnType.NUMERIC, ColumnType.REAL, ColumnType.DOUBLE})

_UUID_BYTES = 16


def is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def plain(type_: pa.DataType) -> pa.DataType:
    """What its values are, without a dictionary or an extension's name around them."""
    if pa.types.is_dictionary(type_):
        return plain(type_.value_type)
    return plain(type_.storage_type) if isinstance(type_, pa.BaseExtensionType) else type_


def fits(type_: pa.DataType, column: ColumnType) -> bool:
    """Whether a column of the file, of this type, is one of the dataset's."""
    if is_text(type_) or pa.types.is_null(type_):
        return True
    if _is_uuid(type_) and column is ColumnType.UUID:
        return True
    if pa.types.is_nested(type_):
        return column is ColumnType.JSON and not _holds_binary(type_)
    return column in _taken_by(type_)


def _taken_by(type_: pa.DataType) -> frozenset[ColumnType]:
    text = frozenset({ColumnType.TEXT})
    if pa.types.is_integer(type_):
        return text | _INTEGERS | _FRACTIONS
    if pa.types.is_decimal(type_):
        return text | _FRACTIONS | (_INTEGERS if type_.scale == 0 else frozenset())
    if pa.types.is_floating(type_):
        return text | _FRACTIONS
    if pa.types.is_boolean(type_):
        return text | {ColumnType.BOOLEAN}
    if pa.types.is_date(type_):
        return text | {ColumnType.DATE, ColumnType.TIMESTAMP}
    if pa.types.is_timestamp(type_):
        # A moment is no local time, nor is a local time a moment: nobody would see which zone was meant.
        return text | {ColumnType.TIMESTAMPTZ if type_.tz else ColumnType.TIMESTAMP}
    return text if pa.types.is_time(type_) else frozenset()


def column_type(type_: pa.DataType) -> ColumnType | None:
    """The narrowest type of a column that holds all of its values; None where there is none."""
    wanted = (
        *(ColumnType.SMALLINT, ColumnType.INTEGER, ColumnType.BIGINT, ColumnType.REAL, ColumnType.DOUBLE),
        *(ColumnType.NUMERIC, ColumnType.BOOLEAN, ColumnType.DATE, ColumnType.TIMESTAMP, ColumnType.TIMESTAMPTZ),
        *(ColumnType.JSON, ColumnType.UUID, ColumnType.TEXT),
    )
    if is_text(type_) or pa.types.is_null(type_) or pa.types.is_time(type_):
        return ColumnType.TEXT
    if pa.types.is_integer(type_):
        bits = type_.bit_width + pa.types.is_unsigned_integer(type_)
        narrow = ((16, ColumnType.SMALLINT), (32, ColumnType.INTEGER), (64, ColumnType.BIGINT))
        return next((kind for most, kind in narrow if bits <= most), ColumnType.NUMERIC)
    if pa.types.is_decimal(type_):
        return ColumnType.NUMERIC
    if pa.types.is_float64(type_):
        return ColumnType.DOUBLE
    return next((kind for kind in wanted if fits(type_, kind)), None)


def described(type_: pa.DataType) -> str:
    """Its name for people, as `timestamp[us, tz=UTC]`; of a nested one the kind alone, which may be long."""
    return str(type_).partition("<")[0]


def values_of(array: pa.Array, column: Column, *, texts: bool = True) -> pa.Array:
    """The values as texts; without `texts`, as what a writer of CSV turns into them, a moment as its time in UTC.

    Nanoseconds are cut at microseconds, which is what a warehouse keeps.
    """
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        return values_of(array.dictionary_decode(), column, texts=texts)
    type_ = array.type
    if is_text(type_):
        return array
    if pa.types.is_timestamp(type_):
        local = array.cast(pa.timestamp("us", type_.tz), safe=type_.unit != "ns").cast(pa.timestamp("us"))
        if not texts:
            return local
        return pc.binary_join_element_wise(local.cast(pa.string()), "Z" if type_.tz else "", "")
    if pa.types.is_nested(type_):
        return _each(array.to_pylist(maps_as_pydicts="lossy"), _as_json)
    if _is_uuid(type_) and column.type is ColumnType.UUID:
        return _each(array.to_pylist(), lambda value: str(uuid.UUID(bytes=value)))
    if pa.types.is_float16(type_):
        array = array.cast(pa.float32())
    return array.cast(pa.string()) if texts or pa.types.is_decimal(type_) or pa.types.is_time(type_) else array


def _is_uuid(type_: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_binary(type_)) and type_.byte_width == _UUID_BYTES


def _holds_binary(type_: pa.DataType) -> bool:
    type_ = plain(type_)
    if not pa.types.is_nested(type_):
        binary = pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_)
        return bool(binary or pa.types.is_fixed_size_binary(type_))
    return any(_holds_binary(type_.field(number).type) for number in range(type_.num_fields))


def _each(values: list[Any], text: Callable[[Any], str]) -> pa.Array:
    return pa.array([None if value is None else text(value) for value in values], pa.string())


def _as_json(value: Any) -> str:
    return orjson.dumps(value, default=_exact, option=orjson.OPT_NON_STR_KEYS).decode()


def _exact(value: object) -> Any:
    """A decimal with all of its digits; what else JSON has no form for as its text."""
    return orjson.Fragment(str(value)) if isinstance(value, Decimal) and value.is_finite() else str(value)
