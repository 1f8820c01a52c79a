"""JSON Lines and JSON arrays as rows. orjson parses; its errors are told in an operator's words."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from penstock.model.datasets import Dataset
from penstock.model.errors import BadFileError
from penstock.model.json_array import elements
from penstock.model.row import Row
from penstock.model.streams import ByteStream
from penstock.model.text_lines import Lines


def json_rows(stream: ByteStream, dataset: Dataset) -> Iterator[Row]:
    names = [column.in_file for column in dataset.columns]
    empty = True
    for line, raw in enumerate(Lines(stream, "utf-8", dataset.limits.max_row), 1):
        row = _json_row(line, raw, names)
        if row.error:
            text = raw.rstrip()
            if not text:
                continue
            if empty and text.startswith("[") and row.error.startswith(_NO_JSON):
                raise BadFileError(_AN_ARRAY)
        empty = False
        yield row
    if empty:
        raise BadFileError("the file holds nothing but white space; send it again if it should hold rows")


def array_rows(stream: ByteStream, dataset: Dataset) -> Iterator[Row]:
    names = [column.in_file for column in dataset.columns]
    for line, raw in elements(stream, dataset.limits.max_row):
        yield _json_row(line, raw, names, in_array=True)


def _json_row(line: int, raw: str, names: Sequence[str], *, in_array: bool = False) -> Row:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if "infinity" in error.msg and (wide := _with_wide_numbers(raw)) is not None:
            return Row(line, raw, tuple(map(wide.get, names)))
        text = raw.rstrip()
        place = min(error.pos, len(text)) + 1
        where = f"character {place} of the element" if in_array else f"column {place}"
        return Row(line, raw, (), f"{_NO_JSON} {where}: {_json_words(error, text)}")
    if isinstance(value, dict):
        return Row(line, raw, tuple(map(value.get, names)))
    return Row(line, raw, (), f"a JSON object was expected, and this is {_kind(value, in_array)}")


def _with_wide_numbers(raw: str) -> dict[str, Any] | None:
    """An object with numbers that no double holds, as their texts: a warehouse may hold them. None: no object."""
    if "\\u" in raw:
        return None  # The standard library takes half of a surrogate pair.
    try:
        value = json.loads(raw, parse_float=_narrow, parse_int=_narrow, parse_constant=_refused)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _narrow(text: str) -> Any:
    number = orjson.loads(text) if len(text) < 300 and "e" not in text.lower() else float(text)
    return text if number in (math.inf, -math.inf) else number


def _refused(name: str) -> None:
    raise ValueError(name)


_NO_JSON = "no valid JSON at"
_AN_ARRAY = (
    "the file is a JSON array over several lines; say format: json in the dataset, or write each object on a line of "
    "its own, as `jq -c '.[]'` does"
)

_JSON_WORDS = {
    "unexpected end of data": "the line ends before its object does; an object stands on one line",
    "no low surrogate in string": "half of a surrogate pair, which is no character",
    "lone leading surrogate in hex escape": "half of a surrogate pair, which is no character",
    "depth limit exceeded": "it is nested too deep",
    "number is infinity when parsed as double": "the number is too large",
    "unexpected content after document": "something stands behind the object; an object has a line of its own",
}
_NO_NUMBER = re.compile(r"-?(?:NaN|Infinity|inf)\b", re.IGNORECASE)


def _json_words(error: orjson.JSONDecodeError, text: str) -> str:
    if _NO_NUMBER.match(text, error.pos) or _NO_NUMBER.match(text, max(error.pos - 1, 0)):
        return "NaN and Infinity are no JSON; write null"
    words = error.msg.partition(": line ")[0]
    return _JSON_WORDS.get(words, words)


def _kind(value: object, in_array: bool) -> str:
    if isinstance(value, list):
        return "an array" if in_array else "an array; write each object on a line of its own"
    return "null" if value is None else "a bare value"
