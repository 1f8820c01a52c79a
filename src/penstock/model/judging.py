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


REQUIRED = "it is null, and the column is required; fill it, or take `required` out of the dataset's column"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a value is refused; `certain` is False where only the database can say whether it is."""

    reason: str
    certain: bool = True


def fault_of(column: Column, value: Any, order: DateOrder = DateOrder.YMD) -> Fault | None:
    """Of a value as `model.rows` reads it: a text or None in CSV, any JSON value in JSON. `order` is the dataset's."""
    if value is None:
        return Fault(REQUIRED) if column.required else None
    if column.type is ColumnType.TEXT:
        return None
    fault = _judged(column.type, value, order)
    if fault is None or not fault.certain or fault.reason == NO_DATE:
        return fault
    return Fault(fault.reason + advice(column.type, order))


def advice(type_: ColumnType, order: DateOrder) -> str:
    """What to do about a value that a column of this type refuses: the end of a reason."""
    if type_ in TIMES:
        return f"; write it as {example(type_, order)}"
    if type_ in _RANGES:
        bound = 2 ** _RANGES[type_]
        return f"; write a whole number from {-bound} to {bound - 1}"
    if type_ in _LARGEST or type_ is ColumnType.NUMERIC:
        return "; write a number, as -12.5"
    return _EXAMPLES.get(type_, "")


_EXAMPLES = {
    ColumnType.BOOLEAN: "; write true or false",
    ColumnType.UUID: "; write it as 123e4567-e89b-12d3-a456-426614174000",
    ColumnType.JSON: "; write valid JSON, or make the column text",
}


def _judged(type_: ColumnType, value: Any, order: DateOrder) -> Fault | None:
    if type_ is ColumnType.JSON:
        return _json(value) if isinstance(value, str) else None
    if not isinstance(value, str):
        if isinstance(value, dict | list):
            return _syntax(type_)
        value = orjson.dumps(value).decode() if not isinstance(value, int) or isinstance(value, bool) else str(value)
    return _of_text(type_, value.strip(), order)


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
                else Fault("date/time field value out of range")
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
