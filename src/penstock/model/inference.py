"""Takes a dataset's columns from a sample of its files: the smallest type that every value of a column fits.

Deterministic, and careful rather than clever: a value that a type would change (`007`, `+43 1`, twenty digits of a
fraction) keeps its column at one that doesn't.
"""

from __future__ import annotations

import csv as csv_reader
import io
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any

from penstock.model.datasets import LINEAGE, Column, ColumnType, Csv, Format
from penstock.model.json_array import elements_of_sample
from penstock.model.streams import ByteStream

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])?"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_DOUBLE_DIGITS = 17
"""A double keeps this many significant digits of a decimal fraction."""
_DOUBLE_LEAST = 1e-300
"""What is smaller begins to lose digits, and then is refused as out of range."""

_WIDER = {
    frozenset({ColumnType.INTEGER, ColumnType.BIGINT}): ColumnType.BIGINT,
    frozenset({ColumnType.INTEGER, ColumnType.DOUBLE}): ColumnType.DOUBLE,
    frozenset({ColumnType.INTEGER, ColumnType.NUMERIC}): ColumnType.NUMERIC,
    frozenset({ColumnType.BIGINT, ColumnType.NUMERIC}): ColumnType.NUMERIC,
    frozenset({ColumnType.BIGINT, ColumnType.DOUBLE}): ColumnType.NUMERIC,
    frozenset({ColumnType.DOUBLE, ColumnType.NUMERIC}): ColumnType.NUMERIC,
}


# `format` is what the dataset calls it.
def infer_columns(sample: str, format: Format, csv: Csv, null_markers: Sequence[str]) -> tuple[Column, ...]:
    """The columns of `sample`, in its order; a column without a value is text.

    A header's name that is no column name becomes one (`Dep Time` → `dep_time`) and is kept as `source`. Raises
    ValueError, in words for the sample's author, when the sample has no columns or its rows don't agree.
    """
    match format:
        case Format.PARQUET:
            raise ValueError("a Parquet file is no text: its columns are in its schema")
        case Format.CSV:
            sources, rows = _csv_rows(sample, csv)
            nulls = set(null_markers)
            values = (
                (number, _of_text(value)) for row in rows for number, value in enumerate(row) if value not in nulls
            )
        case Format.JSONL | Format.JSON:
            objects = list(_json_objects(sample) if format is Format.JSONL else _json_elements(sample))
            sources = list(dict.fromkeys(name for item in objects for name in item))
            places = {name: number for number, name in enumerate(sources)}
            values = (
                (places[name], _of_json(value)) for item in objects for name, value in item.items() if value is not None
            )
    if not sources:
        raise ValueError("the sample has no row to take columns from")
    kinds: list[ColumnType | None] = [None] * len(sources)
    for number, kind in values:
        known = kinds[number]
        if known is not kind:
            kinds[number] = kind if known is None else _both(known, kind)
    named = zip(_names(sources), sources, kinds, strict=True)
    keeps_source = format is not Format.CSV or csv.header
    return tuple(
        Column(name=name, type=kind or ColumnType.TEXT, source=source if keeps_source and source != name else None)
        for name, source, kind in named
    )


def infer_parquet(stream: ByteStream) -> tuple[Column, ...]:
    """The columns of a Parquet file, by its schema. Raises ValueError for what no column holds, and as its reader."""
    from penstock.model.parquet import parquet_schema
    from penstock.model.parquet_types import column_type, described

    schema = parquet_schema(stream)
    columns = []
    for name, (source, found) in zip(_names(list(schema)), schema.items(), strict=True):
        kind = column_type(found)
        if kind is None:
            raise ValueError(f"column {source} is {described(found)}, which no column of a dataset holds; leave it out")
        columns.append(Column(name=name, type=kind, source=source if source != name else None))
    return tuple(columns)


def _both(one: ColumnType, other: ColumnType) -> ColumnType:
    if ColumnType.JSON in (one, other):
        return ColumnType.JSON
    return _WIDER.get(frozenset({one, other}), ColumnType.TEXT)


def _csv_rows(sample: str, csv: Csv) -> tuple[list[str], Iterator[list[str]]]:
    reader = csv_reader.reader(
        io.StringIO(sample, newline=""),
        delimiter=csv.delimiter,
        quotechar=csv.quote,
        doublequote=csv.escape == csv.quote,
        escapechar=None if csv.escape == csv.quote else csv.escape,
        strict=True,
    )
    try:
        rows = [row for row in reader if row]
    except csv_reader.Error as error:
        raise ValueError(f"line {reader.line_num} is no CSV of this dialect: {error}") from None
    if not rows:
        return [], iter(())
    if csv.header:
        sources = [name.strip() for name in rows.pop(0)]  # As the reader of files does.
        if "" in sources:
            raise ValueError(f"column {sources.index('') + 1} of the header has no name")
        if twice := sorted({name for name in sources if sources.count(name) > 1}):
            raise ValueError(f"the header names {', '.join(twice)} twice")
    else:
        sources = [f"column_{number}" for number, _ in enumerate(rows[0], start=1)]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(sources):
            raise ValueError(f"row {number} has {len(row)} fields where there are {len(sources)} columns")
    return sources, iter(rows)


def _json_objects(sample: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(sample.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number} is no JSON: {error}") from None
        if not isinstance(item, dict) or "" in item:
            raise ValueError(f"line {number} is no JSON object with named fields")
        yield item


def _json_elements(sample: str) -> Iterator[dict[str, Any]]:
    for number, text in enumerate(elements_of_sample(sample), start=1):
        try:
            item = json.loads(text)
        except ValueError as error:
            raise ValueError(f"element {number} is no JSON: {error}") from None
        if not isinstance(item, dict) or "" in item:
            raise ValueError(f"element {number} is no JSON object with named fields")
        yield item


def _of_text(text: str) -> ColumnType:
    """The smallest type that holds this one value unchanged."""
    # The first character alone rules out most of the types for most of the values.
    head = text[:1]
    if head.isdigit() or head == "-":
        if _INTEGER.fullmatch(text):
            return _of_integer(text)
        if _DECIMAL.fullmatch(text):
            return _of_decimal(text)
        if _DATE.fullmatch(text) and _reads(date.fromisoformat, text):
            return ColumnType.DATE
        if (match := _TIMESTAMP.fullmatch(text)) and _reads(datetime.fromisoformat, text):
            return ColumnType.TIMESTAMPTZ if match[3] else ColumnType.TIMESTAMP
    if text.lower() in {"true", "false"}:
        return ColumnType.BOOLEAN
    return ColumnType.UUID if _UUID.fullmatch(text) else ColumnType.TEXT


def _of_integer(text: str) -> ColumnType:
    number = int(text) if len(text) <= len(str(-(2**63))) else 2**64
    if -(2**31) <= number < 2**31:
        return ColumnType.INTEGER
    return ColumnType.BIGINT if -(2**63) <= number < 2**63 else ColumnType.NUMERIC


def _of_decimal(text: str) -> ColumnType:
    mantissa = re.split("[eE]", text)[0].replace(".", "").lstrip("-0")
    number = float(text)
    if mantissa and not _DOUBLE_LEAST < abs(number) < math.inf:
        return ColumnType.TEXT
    return ColumnType.DOUBLE if len(mantissa) <= _DOUBLE_DIGITS else ColumnType.NUMERIC


def _of_json(value: Any) -> ColumnType:
    match value:
        case bool():
            return ColumnType.BOOLEAN
        case int():
            return _of_integer(str(value)) if abs(value) < 2**63 else ColumnType.NUMERIC
        case float():
            return ColumnType.DOUBLE if math.isfinite(value) else ColumnType.TEXT
        case str():
            # A number in quotes is text: its writer had the choice. Times and UUIDs have no other way to be written.
            kind = _of_text(value)
            spoken = {ColumnType.DATE, ColumnType.TIMESTAMP, ColumnType.TIMESTAMPTZ, ColumnType.UUID}
            return kind if kind in spoken else ColumnType.TEXT
        case _:
            return ColumnType.JSON


def _reads(parse: Any, text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _names(sources: Iterable[str]) -> Iterator[str]:
    taken = set(LINEAGE)
    for number, source in enumerate(sources, start=1):
        plain = unicodedata.normalize("NFKD", source.casefold()).encode("ascii", "ignore").decode()
        name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or f"column_{number}"
        if not name[0].isalpha():
            name = f"c_{name}"
        unique, again = name[:63], 2
        while unique in taken:
            unique, again = f"{name[:58]}_{again}", again + 1
        taken.add(unique)
        yield unique
