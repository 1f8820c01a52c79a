"""The account of the demo's events: their counts beside SQL over the rows, poison, and what was told of rates."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import psycopg

from penstock.local import dead_letters, stream_letters
from penstock.local.billing import billed_calls, lines_by_calls
from penstock.local.cost import Line, StreamWork, cost_of_stream, total
from penstock.local.demo import archived
from penstock.local.demo.archived import Archived
from penstock.local.demo.departures import CANCELLED, FIRST_DAY, LAST_DAY, STORM, Sending
from penstock.local.demo.replay import ByType, CountsOf, Heard, Replayed
from penstock.local.deployment import Deployment
from penstock.producer import encode

_TRUTH = """
    SELECT CASE WHEN dep_time IS NULL THEN 'cancelled' ELSE carrier END,
           date_trunc('hour', time_hour + make_interval(mins => minute + coalesce(dep_delay, 0)), 'UTC'),
           count(*)
    FROM flights
    WHERE make_date(year, month, day) BETWEEN %s AND %s
    GROUP BY 1, 2
"""
"""Of the rows that the files have become, which the events have never touched."""
_SHOWN = 5
"""Differences that are named one by one."""
_MOST_LETTERS = 1_000
_TO_COME = 30.0
"""Seconds within which the last call has ended: its log comes after its counts."""

ByHour = Mapping[tuple[str, datetime], int]


@dataclass(frozen=True)
class StreamAccount:
    """`sent` are lines, by what they are; `counted` are events; `hours` are all carriers', that were compared."""

    speed: float
    seconds: float
    sent: Mapping[str, int]
    counted: int
    cancelled: int
    hours: int
    repeats: int
    """Lines that were sent, and are neither counted nor put aside: their ids were known."""
    put_aside: Mapping[str, int]
    """How many dead letters, by why."""
    heard: Sequence[Heard]
    cost: Sequence[Line]
    archived: Archived
    miscounted: Sequence[str]
    """In words, like the next two: what is wrong of the counts, of the dead letters, and of anything else."""
    misplaced: Sequence[str]
    others: Sequence[str]

    @property
    def problems(self) -> Sequence[str]:
        return [*self.others, *self.miscounted, *self.misplaced, *self.archived.wrong]

    def to_json(self) -> dict[str, Any]:
        heard = [{**asdict(one), "at": one.at.isoformat()} for one in self.heard]
        cost = {"dollars": round(total(self.cost), 6), "lines": [asdict(line) for line in self.cost]}
        return {**asdict(self), "cost": cost, "seconds": round(self.seconds, 3), "heard": heard}


def draw_up(deployment: Deployment, sendings: Sequence[Sending], replayed: Replayed, speed: float) -> StreamAccount:
    seen = _seen(deployment, len(sendings))
    letters = [one for one in dead_letters.read(deployment, _MOST_LETTERS) if one.queue == stream_letters.QUEUE]
    counted, truth = _by_hour(CountsOf(deployment, sendings).read()), _truth(deployment)
    repeats = replayed.lines.sent - sum(counted.values()) - len(letters)
    return StreamAccount(
        speed=speed,
        seconds=replayed.seconds,
        sent=dict(Counter(one.what for one in sendings)),
        counted=sum(counted.values()),
        cancelled=sum(events for (kind, _), events in counted.items() if kind == CANCELLED),
        hours=len(truth),
        repeats=repeats,
        put_aside=dict(Counter(letter.why for letter in letters)),
        heard=replayed.heard,
        cost=_cost(deployment, seen, len(letters), len(replayed.heard)),
        archived=archived.draw_up(deployment, len(sendings), truth),
        miscounted=list(_miscounted(counted, truth)),
        misplaced=list(_misplaced(sendings, letters)),
        others=[*_not_known(sendings, replayed, repeats), *_not_told(replayed.heard)],
    )


def _cost(deployment: Deployment, seen: Counter[str], letters: int, notices: int) -> Sequence[Line]:
    calls = [
        call
        for call in billed_calls(deployment.client("logs"), deployment.name)
        if call.function in ("process_stream", "watch_rate")
    ]
    gb_seconds = sum(call.gb_seconds for call in calls)
    return cost_of_stream(StreamWork(seen["records"], seen["writes"], letters, notices, len(calls), gb_seconds))


def _by_hour(counted: ByType) -> ByHour:
    hours: Counter[tuple[str, datetime]] = Counter()
    for kind, minutes in counted.items():
        for minute, events in minutes.items():
            hours[kind, minute.replace(minute=0)] += events
    return hours


def _truth(deployment: Deployment) -> ByHour:
    with psycopg.connect(deployment.conninfo("owner")) as connection:
        rows = connection.execute(_TRUTH, (FIRST_DAY, LAST_DAY)).fetchall()
    return {(kind, hour): flights for kind, hour, flights in rows}


def _seen(deployment: Deployment, lines: int) -> Counter[str]:
    """What process_stream logs of the lines, for what they cost; without some where their log does not come."""
    deadline = time.monotonic() + _TO_COME
    while True:
        seen = lines_by_calls(deployment.client("logs"), deployment.name)
        if seen["events"] + seen["repeats"] + seen["poison"] >= lines or time.monotonic() > deadline:
            return seen
        time.sleep(0.2)  # Nothing tells when the last has come.


def _not_known(sendings: Sequence[Sending], replayed: Replayed, repeats: int) -> Iterator[str]:
    twice = sum(one.what == "repeat" for one in sendings)
    if replayed.lines.sent != len(sendings):
        yield f"{len(sendings):,} lines were to be sent as events, and {replayed.lines.sent:,} were"
    if repeats != twice:
        yield f"{twice} lines were sent twice, and {repeats} of all are neither counted nor put aside"


def _miscounted(counted: ByHour, truth: ByHour) -> Iterator[str]:
    wrong = [place for place in sorted(counted.keys() | truth.keys()) if counted.get(place, 0) != truth.get(place, 0)]
    for kind, hour in wrong[:_SHOWN]:
        found, wanted = counted.get((kind, hour), 0), truth.get((kind, hour), 0)
        yield f"{kind}, {hour:%Y-%m-%d %H}:00: the stream counts {found:,}, and SQL {wanted:,}"
    if len(wrong) > _SHOWN:
        yield f"and {len(wrong) - _SHOWN:,} more hours of carriers whose counts are wrong"


def _misplaced(sendings: Sequence[Sending], letters: Sequence[dead_letters.DeadLetter]) -> Iterator[str]:
    wanted = Counter(encode(one.event).line.decode().rstrip() for one in sendings if one.what == "poison")
    found = Counter(text for letter in letters for text in letter.texts())
    for line in wanted - found:
        yield f"{line} is no event, and is not among the dead letters"
    for line in found - wanted:
        yield f"{line} is among the dead letters, and should not be"


def _not_told(heard: Sequence[Heard]) -> Iterator[str]:
    storms = [one for one in heard if one.what == "high" and f"/{STORM}T" in one.episode]
    if len(storms) != 1:
        yield f"of the storm of {STORM} the rate alarm told {len(storms)} times, and not once"
