"""What a month has to be: judged by what happened in the world, and by nothing that the lister says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from tests.simulation.destination import FILES_A_SECOND
from tests.simulation.month import BEGIN, DATASETS, HOUR, MINUTE, Seen

Span = tuple[datetime, datetime]
TICK = MINUTE
RINGS_AFTER = 30 * MINUTE
_HEALING = 15 * MINUTE
"""A breaker tries again after ten minutes at most; then what waited is loaded."""


def bound(name: str) -> timedelta:
    """From a file's arrival to its plan, while there is room: its flush, and the tick after it."""
    flush = DATASETS[name].flush
    return (flush.after if flush else timedelta(0)) + TICK


def overloads(seen: Seen) -> list[str]:
    """Where the destination, or the leases on it, went beyond a limit."""
    found = list(seen.over_pace)
    if seen.most_connections > seen.world.limits.at_work:
        found.append(f"{seen.most_connections} connections, {seen.world.limits.at_work} allowed")
    most = max(leased for _, leased in seen.leased)
    if most > seen.world.limits.files:
        found.append(f"{most} files leased, {seen.world.limits.files} allowed")
    for name, dataset in DATASETS.items():
        if dataset.pace and seen.most_leased[name] > dataset.pace.max_files:
            found.append(f"{seen.most_leased[name]} files of {name} leased, {dataset.pace.max_files} allowed")
    return found


def late(seen: Seen) -> tuple[list[str], int]:
    """Files that were planned after their bound though capacity exceeded arrivals all the while; of how many such."""
    queue = _queue(seen)
    found, judged = [], 0
    for key, arrived in seen.arrived.items():
        name = key.split("/")[1]
        wait = seen.planned.get(key, BEGIN + timedelta(days=seen.world.days)) - arrived
        minutes = range(_minute(arrived), min(_minute(arrived + bound(name)) + 1, len(queue)))
        # A small dataset has its reserve whatever the others do; only an outage may hold it up.
        calm = all(queue[minute] == 0 for minute in minutes)
        if calm or (name == "orders" and not _in(arrived, seen.world.outages)):
            judged += 1
            if wait > bound(name):
                found.append(f"{key} arrived {arrived:%d %H:%M:%S}, planned after {wait}")
    return found, judged


def _queue(seen: Seen) -> list[float]:
    """Files that wait after each minute at a destination that has half of its speed: the other half is a margin."""
    coming = [0] * (seen.world.days * 1440)
    for arrived in seen.arrived.values():
        coming[_minute(arrived)] += 1
    queue, files = [], 0.0
    for minute, arrived_now in enumerate(coming):
        at = BEGIN + minute * MINUTE
        speed = 0.0 if _in(at, seen.world.outages) else FILES_A_SECOND * 60 / 2
        speed /= next((by for begin, end, by in seen.world.slow if begin <= at < end), 1.0)
        files = max(0.0, files + arrived_now - speed)
        queue.append(files)
    return queue


def wrong_alarms(seen: Seen) -> list[str]:
    """Those that rang and should not have, did not and should have, or rang too early, too late or for too long."""
    world = seen.world
    outages = [(begin + RINGS_AFTER, end + _HEALING) for begin, end in world.outages]
    floods = [(begin + RINGS_AFTER, end + _HEALING) for begin, end, _ in world.floods]
    expected: Mapping[str, Sequence[Span]] = {
        "BacklogNotFallingAlarm": outages,
        "BacklogGrowsAlarm": sorted([*outages, *floods]),
        "SilentDatasetsAlarm": _silences(seen),
        "RunsFailAlarm": [],
    }
    found = []
    for name, spans in expected.items():
        rang = seen.cloudwatch.rang(name)
        if len(rang) != len(spans):
            found.append(f"{name} rang {_said(rang)}, expected {_said(spans)}")
            continue
        for (began, ended), (begin, end) in zip(rang, spans, strict=True):
            if not begin <= began <= begin + 10 * MINUTE or not began <= ended <= end:
                found.append(f"{name} rang {_said([(began, ended)])}, expected {_said([(begin, end)])}")
    return found


def _silences(seen: Seen) -> list[Span]:
    came = [BEGIN, *sorted(at for key, at in seen.arrived.items() if "/orders/" in key)]
    return [(before + HOUR, after + 3 * MINUTE) for before, after in pairwise(came) if after - before > HOUR]


def _minute(at: datetime) -> int:
    return int((at - BEGIN) / MINUTE)


def _in(at: datetime, spans: Sequence[Span]) -> bool:
    # What a breaker holds back after an outage is the outage's.
    return any(begin - TICK <= at < end + _HEALING for begin, end in spans)


def _said(spans: Sequence[Span]) -> str:
    return ", ".join(f"{begin:%d %H:%M}-{end:%d %H:%M}" for begin, end in spans) or "never"
