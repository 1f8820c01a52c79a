"""Judges each rate's windows, one after the other, and tells of its episodes: once of each, and once of its end.

A window is judged when its last events have had their time to come, by the times that the events say. What comes later
still is counted, and changes the past of later windows; the window itself is not judged again.

What is to be told is written with the judgement, on the condition that nobody else has judged meanwhile. So of two that
judge at once, one tells. If he dies over it another tells once more, under the same episode's id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from penstock.model.episodes import Watch, Window, after
from penstock.model.rates import Rate
from penstock.ports import Clock
from penstock.ports.counts import Counts
from penstock.ports.watches import Notices, Watches

TELLING = timedelta(minutes=2)
"""Longer than the function may run: who is still telling then is dead."""


@dataclass(slots=True)
class Watched:
    windows: int = 0
    told: int = 0
    episodes: int = 0
    """That go on."""


def watch_rate(
    counts: Counts, watches: Watches, notices: Notices, clock: Clock, rates: Iterable[Rate], as_of: datetime
) -> Watched:
    """Judges what was over at `as_of`. The clock only says who is still telling."""
    watched = Watched()
    for rate in rates:
        counts.expect(rate.type)
        watch = watches.read(rate.name)
        if watch.judged is None:  # What began before anybody watched may not be a whole window.
            watches.write(rate.name, replace(watch, judged=rate.begin(as_of) + rate.window))
            continue
        if watch.untold:
            told = _tell(watches, notices, clock, rate, watch)
            if told is None:
                continue
            watched.told += len(watch.untold)
            watch = told
        judged, windows = _judged(counts, rate, watch, as_of)
        if windows:
            telling = clock.now() + TELLING if judged.untold else None
            judged = replace(judged, telling_until=telling)
            if not watches.write(rate.name, judged):
                continue  # Another has judged them.
            watched.windows += windows
            if judged.untold:
                _finish(watches, notices, rate, _next(judged))
                watched.told += len(judged.untold)
        watched.episodes += judged.episode is not None
    return watched


def _judged(counts: Counts, rate: Rate, watch: Watch, as_of: datetime) -> tuple[Watch, int]:
    """What is known once all windows are judged that are over, and how many these were."""
    until, before = rate.begin(as_of - rate.late), rate.past // rate.window
    # Where nobody watched for longer than the past goes back, what is older is of no use to anyone.
    begin = rate.begin(max(watch.judged or until, until - max(before, 1) * rate.window))
    windows = (until - begin) // rate.window
    if windows < 1:
        return watch, 0
    events = _by_window(counts, rate, begin - before * rate.window, until)
    for place in range(before, len(events)):
        past = _since_the_first(events[place - before : place])
        watch = after(watch, rate, Window(begin, begin + rate.window, events[place], past))
        begin += rate.window
    return watch, windows


def _by_window(counts: Counts, rate: Rate, since: datetime, until: datetime) -> list[int]:
    events = [0] * ((until - since) // rate.window)
    for minute, count in counts.read(rate.type, since, until).items():
        events[(minute - since) // rate.window] += count
    return events


def _since_the_first(past: list[int]) -> list[int]:
    """Before a type's first event there was nothing to compare with."""
    first = next((place for place, events in enumerate(past) if events), len(past))
    return past[first:]


def _tell(watches: Watches, notices: Notices, clock: Clock, rate: Rate, watch: Watch) -> Watch | None:
    """What another left untold; None while he may still be at it, or when a third was faster."""
    if watch.telling_until and clock.now() < watch.telling_until:
        return None
    mine = replace(watch, telling_until=clock.now() + TELLING)
    return _finish(watches, notices, rate, _next(mine)) if watches.write(rate.name, mine) else None


def _finish(watches: Watches, notices: Notices, rate: Rate, watch: Watch) -> Watch | None:
    for notice in watch.untold:
        notices.tell(notice)
    told = replace(watch, untold=(), telling_until=None)
    return _next(told) if watches.write(rate.name, told) else None


def _next(watch: Watch) -> Watch:
    return replace(watch, version=watch.version + 1)
