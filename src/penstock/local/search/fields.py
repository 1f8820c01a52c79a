"""What a mapping makes of a document: which values fit, and which texts are searched."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from penstock.local.search.errors import SearchError

_RANGES = {"byte": 2**7, "short": 2**15, "integer": 2**31, "long": 2**63}
_FLOATS = frozenset(("half_float", "float", "double", "scaled_float"))
_TEXTS = frozenset(("text", "keyword"))
_DATE_TIME = re.compile(
    r"\d{4}(-\d{2}(-\d{2}(T(\d{2}(:\d{2}(:\d{2}([.,]\d{1,9})?)?)?)?(Z|[+-]\d{2}(:?\d{2})?)?)?)?)?", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_EPOCH = re.compile(r"-?\d+", re.ASCII)
_DEFAULT_FORMAT = "strict_date_optional_time||epoch_millis"
_LONGEST_TERM = 32766

Check = Callable[[Any], None]
"""Raises ValueError with the cause when a value does not fit."""


class Fields:
    """An index's mapping, ready to look at documents."""

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self.properties: Mapping[str, Any] = mapping.get("properties", {})
        self.dynamic = str(mapping.get("dynamic", True)).lower()
        self._checks = [(name, _check(field)) for name, field in self.properties.items()]
        self._known = self.properties.keys()
        self.texts = [name for name, field in self.properties.items() if field.get("type") in _TEXTS]
        """The fields that are full-text indexed here: words, never numbers."""

    def check(self, id_: str, document: Mapping[str, Any]) -> None:
        """Raises SearchError, as a bulk item shows it, where a value does not fit its field."""
        for name, check in self._checks:
            value = document.get(name)
            if value is None:
                continue
            try:
                if type(value) is list:
                    for one in value:
                        if one is not None:
                            check(one)
                else:
                    check(value)
            except ValueError as error:
                raise _refused(name, self.properties[name], id_, value, str(error)) from None
        if self.dynamic == "strict" and (unknown := document.keys() - self._known):
            raise SearchError(
                400,
                "strict_dynamic_mapping_exception",
                f"mapping set to strict, dynamic introduction of [{min(unknown)}] within [_doc] is not allowed",
            )

    def grown(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that dynamic mapping adds for this document; none where `dynamic` is off."""
        if self.dynamic != "true" or document.keys() <= self._known:
            return {}
        return {
            name: _guessed(value)
            for name, value in document.items()
            if name not in self._known and value is not None and value != []
        }

    def searched(self, document: Mapping[str, Any]) -> list[str]:
        """The text of each of `texts`, in their order."""
        return [_words(document.get(name)) for name in self.texts]


def _words(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is str:
        return value
    return " ".join(map(_words, value)) if isinstance(value, list) else str(value)


def _guessed(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return _guessed(value[0])
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return {"type": "long"}
    if isinstance(value, float):
        return {"type": "float"}
    if isinstance(value, dict):
        return {"type": "object"}
    if _DATE_TIME.fullmatch(value) and len(value) >= 10:
        return {"type": "date"}
    return {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}


def _check(field: Mapping[str, Any]) -> Check:
    kind = field.get("type", "object")
    if kind in _RANGES:
        return _whole(kind, _RANGES[kind])
    if kind in _FLOATS:
        return _float(kind)
    if kind == "boolean":
        return _boolean
    if kind == "date":
        return _date(field.get("format", _DEFAULT_FORMAT))
    if kind == "object":
        return _object if field.get("enabled", True) not in (False, "false") else _anything
    return _keyword if kind == "keyword" and "ignore_above" not in field else _scalar


def _whole(kind: str, limit: int) -> Check:
    def check(value: Any) -> None:
        if type(value) is not int:
            value = _number(kind, value)
        if not -limit - 1 < value < limit:
            raise ValueError(f"Value [{value}] is out of range for a {kind}")

    return check


def _float(kind: str) -> Check:
    def check(value: Any) -> None:
        if type(value) is not float and type(value) is not int and not math.isfinite(_number(kind, value)):
            raise ValueError(f"[{kind}] supports only finite values, but got [{value}]")

    return check


def _number(kind: str, value: Any) -> int | float:
    """As OpenSearch coerces: texts are read as numbers, and an empty one is no value at all."""
    if isinstance(value, bool) or not isinstance(value, str | float):
        raise ValueError(f"{kind} can't hold this kind of value")
    if value == "":
        return 0
    try:
        if isinstance(value, str) and "_" in value:
            raise ValueError(value)
        return int(value) if isinstance(value, str) and _EPOCH.fullmatch(value) else float(value)
    except ValueError:
        raise ValueError(f'For input string: "{value}"') from None


def _boolean(value: Any) -> None:
    if value not in (True, False, "true", "false", "") or (isinstance(value, int | float) and type(value) is not bool):
        raise ValueError(f"Failed to parse value [{value}] as only [true] or [false] are allowed.")


def _date(format_: str) -> Check:
    formats = format_.split("||")
    patterns = [
        _DATE if name == "strict_date" else _EPOCH if name.startswith("epoch") else _DATE_TIME for name in formats
    ]

    def check(value: Any) -> None:
        if value == "":
            raise ValueError("cannot parse empty date")
        text = value if type(value) is str else str(value)
        if isinstance(value, str | int) and type(value) is not bool:
            for pattern in patterns:
                if pattern.fullmatch(text) and (pattern is not _DATE_TIME or _on_the_calendar(text)):
                    return
        raise ValueError(f"failed to parse date field [{text}] with format [{format_}]")

    return check


def _on_the_calendar(text: str) -> bool:
    """True unless a day or a time is named that does not exist, such as February 30."""
    try:
        if len(text) > 10:
            datetime.fromisoformat(text)
        elif len(text) == 10:
            date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _object(value: Any) -> None:
    if not isinstance(value, dict):
        raise ValueError("tried to parse field as object, but found a concrete value")


def _anything(_value: Any) -> None:
    pass


def _scalar(value: Any) -> None:
    if isinstance(value, dict):
        raise ValueError("Can't get text on a START_OBJECT")


def _keyword(value: Any) -> None:
    _scalar(value)
    if type(value) is str and len(value) > _LONGEST_TERM // 4 and len(value.encode()) > _LONGEST_TERM:
        raise ValueError("Document contains at least one immense term")


def _refused(name: str, field: Mapping[str, Any], id_: str, value: Any, cause: str) -> SearchError:
    kind = field.get("type", "object")
    return SearchError(
        400,
        "mapper_parsing_exception",
        f"failed to parse field [{name}] of type [{kind}] in document with id '{id_}'. "
        f"Preview of field's value: '{str(value)[:100]}'",
        cause,
    )
