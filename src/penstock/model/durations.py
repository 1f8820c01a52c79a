"""A length of time as people write it: `90s`, `5m`, `1h`, `2d`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _parsed(value: Any) -> Any:
    """`5m` → five minutes. What isn't a duration is left for pydantic to refuse."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+)\s*([smhd])", value.strip())):
        return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    return value


_SCHEMA = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": "^ *[0-9]+ *[smhd] *$", "examples": ["5m"]},
    ]
}
Duration = Annotated[
    timedelta, BeforeValidator(_parsed), Field(gt=timedelta(0), le=timedelta(days=31)), WithJsonSchema(_SCHEMA)
]
"""A text such as `5m`, or a number of seconds; at most 31 days."""
