"""The archive of the demo's events: what came below incoming/ as files is in the warehouse, each event once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from penstock.local.deployment import Deployment

DATASET = "departures"
SECONDS = 5
"""For which the archive gathers a file."""
_TO_COME = 60.0
"""Seconds within which the last file has to be loaded."""

_LINES = """
    SELECT count(*), coalesce(sum(rows), 0), coalesce(sum(repeats), 0), coalesce(sum(rejects), 0)
    FROM penstock.load WHERE dataset = %s AND verdict = 'loaded'
"""
_EVENTS = "SELECT type, date_trunc('hour', at, 'UTC'), count(*) FROM departures GROUP BY 1, 2"


@dataclass(frozen=True)
class Archived:
    """Lines of the files: those that are rows, those whose event was one before, and those that are no events."""

    files: int
    rows: int
    repeats: int
    rejects: int
    wrong: Sequence[str]


def draw_up(deployment: Deployment, lines: int, truth: Mapping[tuple[str, datetime], int]) -> Archived:
    """As soon as all `lines` are decided, wherever they stood; `truth` is events by type and hour."""
    deadline = time.monotonic() + _TO_COME
    with psycopg.connect(deployment.conninfo("owner"), autocommit=True) as connection:
        while True:
            [found] = connection.execute(_LINES, (DATASET,)).fetchall()
            files, rows, repeats, rejects = map(int, found)
            if rows + repeats + rejects >= lines or time.monotonic() > deadline:
                break
            time.sleep(0.2)  # Nothing tells when the last has come.
        there = {(kind, hour): events for kind, hour, events in connection.execute(_EVENTS).fetchall()}
    return Archived(files, rows, repeats, rejects, list(_wrong(lines, rows + repeats + rejects, there == truth)))


def _wrong(lines: int, decided: int, same: bool) -> Iterator[str]:
    if decided < lines:
        yield f"{lines:,} lines went through the stream, and {decided:,} are decided in the archive's files"
    if not same:
        yield f"table {DATASET} has not each event of the stream once"
