"""The demo's events: a week of flights as they left, or did not. Some are late, some told twice, and some are none.

In the week is the blizzard Nemo: of the 930 flights of 8 February 2013 half were cancelled, 472.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from penstock.local.demo.files import DemoFile, contents
from penstock.producer.events import EVENT_ID

FIRST_DAY, LAST_DAY, STORM = date(2013, 2, 4), date(2013, 2, 10), date(2013, 2, 8)
DAYS = LAST_DAY.timetuple().tm_yday
"""So many of the demo's days have the week in them."""
CANCELLED = "cancelled"
"""The type of a flight that did not leave. One that did has its carrier's."""
LATEST = timedelta(hours=2)
"""After its own time, when an event is sent."""
_LATE, _REPEATED, _BROKEN = 0.04, 0.05, 0.002

What = Literal["in time", "late", "repeat", "poison"]


@dataclass(frozen=True, slots=True)
class Sending:
    """`due` is when it is sent, by the time of the events; `type` is also the key that orders it."""

    due: datetime
    what: What
    type: str
    event: Mapping[str, Any]

    @property
    def counts(self) -> bool:
        """It is the first with its id, and an event."""
        return self.what in ("in time", "late")


def sendings(files: Sequence[DemoFile]) -> list[Sending]:
    """All of the week, in the order in which they are sent; of the same files the same each time."""
    chance = random.Random(2013)  # noqa: S311 - no secret
    return sorted(
        (one for flight in _flights(files) for one in _of_flight(flight, chance)), key=lambda sending: sending.due
    )


def _flights(files: Sequence[DemoFile]) -> Iterator[Mapping[str, str]]:
    names = {f"flights-{FIRST_DAY + timedelta(days=day)}.csv" for day in range((LAST_DAY - FIRST_DAY).days + 1)}
    for file in files:
        if file.key.rpartition("/")[2].removesuffix(".gz") in names:
            yield from csv.DictReader(io.StringIO(contents(file).decode(), newline=""))


def _of_flight(flight: Mapping[str, str], chance: random.Random) -> Iterator[Sending]:
    """Its event, sent when it left, or was to leave and did not; and what else is sent of it."""
    at = datetime.fromisoformat(flight["time_hour"]) + timedelta(minutes=int(flight["minute"]))
    kind = CANCELLED if flight["dep_time"] == "NA" else flight["carrier"]
    if kind != CANCELLED:
        at += timedelta(minutes=int(flight["dep_delay"]))
    event = {
        EVENT_ID: f"{flight['carrier']}{flight['flight']} {flight['origin']} {flight['time_hour']}",
        "type": kind,
        "at": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "carrier": flight["carrier"],
        "flight": int(flight["flight"]),
        "origin": flight["origin"],
        "dest": flight["dest"],
    }
    late = chance.random() < _LATE
    due = at + chance.uniform(0.1, 1) * LATEST if late else at
    yield Sending(due, "late" if late else "in time", kind, event)
    if chance.random() < _REPEATED:
        yield Sending(due + chance.random() * LATEST, "repeat", kind, event)
    if chance.random() < _BROKEN:
        broken = {**event, EVENT_ID: f"{event[EVENT_ID]} again", **chance.choice(_BREAKAGES)}
        yield Sending(due, "poison", kind, broken)


_BREAKAGES: Sequence[Mapping[str, Any]] = ({"at": "10:42 pm"}, {"at": None}, {"type": None})
"""What a producer at fault puts in the place of a time, or of a type."""
