"""What a run is called."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime


def plan_id(now: datetime, random: Callable[[int], str] = secrets.token_hex) -> str:
    """`20260115T101112-345-1a2b3c4d`: sorts by time, and is an execution's name (letters, digits, `-`; ≤ 80)."""
    moment = now.astimezone(UTC)
    return f"{moment:%Y%m%dT%H%M%S}-{moment.microsecond // 1000:03d}-{random(4)}"
