"""Whether a text is a value of a column's type: what PostgreSQL will say, as far as that can be told without one.

`penstock explain` alone asks here. The database is the judge when a file is loaded, and its words are the ones in a
reject; this is close enough to mend a file by. Where it can't be told, that is said, and no guess is made.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from penstock.model.datasets import Column, ColumnType, DateOrder
from penstock.model.dates import NO_DATE, TIMES, example, says_a_word

_RANGES = {ColumnType.SMALLINT: 15, ColumnType.INTEGER: 31, ColumnType.BIGINT: 63}
_INTEGER = re.compile(r"[+-]?[0-9]+")
_OTHER_INTEGER = re.compile(r"[+-]?(0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9]+(_[0-9]+)+)")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NEWER = "a notation that PostgreSQL takes from version 16 on"
_NOT_FINITE = re.compile(r"nan|[+-]?inf(inity)?", re.IGNORECASE)
_LARGEST = {ColumnType.REAL: 3.4028235677973366e38, ColumnType.DOUBLE: 1.7976931348623157e308}
_BOOLEAN = {
    *(word[:length] for word in ("true", "false", "yes", "no") for length in range(1, len(word) + 1)),
    *("on", "of", "off", "0", "1"),
}
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?( ?(Z|[+-][0-9]{2}(:?[0-9]{2})?))?)?"
)
_SMALLEST = {ColumnType.REAL: 7.006492321624085e-46, ColumnType.DOUBLE: 5e-324}
_UUID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a value is refused; `certain` is False where only the database can say whether it is."""

    reason: str
    certain: bool = True


def fault_of(column: Column, value: Any, order: DateOrder = DateOrder.YMD) -> Fault | None:
    """Of a value as `model.rows` reads it: a text or None in CSV, any JSON value in JSON. `order` is the dataset's."""
    if value is None:
        return Fault("it is null, and the column is required") if column.required else None
    if column.type is ColumnType.TEXT:
        return None
    if column.type is ColumnType.JSON:
        return _json(value) if isinstance(value, str) else None
    if not isinstance(value, str):
        if isinstance(value, dict | list):
            return _syntax(column.type)
        value = orjson.dumps(value).decode() if not isinstance(value, int) or isinstance(value, bool) else str(value)
    return _of_text(column.type, value.strip(), order)


def _of_text(type_: ColumnType, text: str, order: DateOrder) -> Fault | None:
    if type_ in _RANGES:
        return _integer(type_, text)
    if type_ in _LARGEST or type_ is ColumnType.NUMERIC:
        return _decimal(type_, text)
    if type_ in TIMES:
        return _time(type_, text, order)
    if type_ is ColumnType.UUID:
        return None if _UUID.fullmatch(text.lower().replace("-", "").strip("{}")) else _syntax(type_)
    return None if text.lower() in _BOOLEAN else _syntax(type_)


def _integer(type_: ColumnType, text: str) -> Fault | None:
    if _INTEGER.fullmatch(text):
        bits = _RANGES[type_]
        short = len(text) < 40  # Beyond it Python would take its time, and there is no doubt.
        return None if short and -(2**bits) <= int(text) < 2**bits else Fault(f"value is out of range for type {type_}")
    if _OTHER_INTEGER.fullmatch(text):
        return Fault(_NEWER, certain=False)
    return _syntax(type_)


def _decimal(type_: ColumnType, text: str) -> Fault | None:
    if _NOT_FINITE.fullmatch(text):
        return None
    if not _DECIMAL.fullmatch(text):
        return Fault(_NEWER, certain=False) if _OTHER_INTEGER.fullmatch(text) else _syntax(type_)
    if type_ in _LARGEST and not _fits(type_, text):
        return Fault(f"value is out of range for type {_words(type_)}")
    return None


def _fits(type_: ColumnType, text: str) -> bool:
    """Neither too large nor so small that nothing but zero would be left of it."""
    number = abs(float(text))
    zero = not re.search("[1-9]", re.split("[eE]", text)[0])
    return zero or _SMALLEST[type_] <= number <= _LARGEST[type_]


def _time(type_: ColumnType, text: str, order: DateOrder) -> Fault | None:
    if says_a_word(text):
        return Fault(NO_DATE)
    if _ISO.fullmatch(text):
        try:
            datetime.fromisoformat(text.replace(" Z", "Z"))
        except ValueError:
            late = text[11:16] == "24:00" or text[17:19] == "60"  # The last moment of a day, and a leap second.
            return (
                Fault("an hour of 24 or a second of 60", certain=False)
                if late
                else Fault(f"date/time field value out of range; write it as {example(type_, order)}")
            )
        return None
    if not any(character.isdigit() for character in text):
        return _syntax(type_)
    first = {DateOrder.YMD: "the year", DateOrder.MDY: "the month", DateOrder.DMY: "the day"}[order]
    return Fault(f"no ISO 8601: the database reads other notations too, with {first} first", certain=False)


def _json(text: str) -> Fault | None:
    try:
        # Not orjson, which refuses numbers that no double holds: PostgreSQL keeps them.
        json.loads(text, parse_constant=_refuse, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return _syntax(ColumnType.JSON)
    return None


def _refuse(constant: str) -> None:
    """NaN and Infinity, which JSON does not have."""
    raise ValueError(constant)


def _syntax(type_: ColumnType) -> Fault:
    return Fault(f"invalid input syntax for type {_words(type_)}")


def _words(type_: ColumnType) -> str:
    return "double precision" if type_ is ColumnType.DOUBLE else str(type_.value)
