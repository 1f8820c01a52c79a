"""The circuit breaker of a destination: it opens when the destination is down, and says when that is tried again.

Pure rules; the lease table keeps those that are open. Opened, it keeps files from being planned for the destination.
From `probe_at` on one small batch may try it: that closes the breaker, or makes the next pause longer.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from penstock.model.datasets import Dataset
from penstock.model.errors import SEARCH, WAREHOUSE, part_of

DESTINATIONS = (WAREHOUSE, SEARCH)
_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Breaker:
    """An open one: one that is closed is not kept. `failures` are the times that the destination was tried in vain."""

    destination: str
    """Or the part of one that a single dataset goes to (`errors.part_of`)."""
    opened: datetime
    probe_at: datetime
    failures: int
    reason: str
    probe: str = ""
    """The run that tries it now, or did last."""

    def lets_one_through(self, now: datetime, live: Container[str]) -> bool:
        """Whether a probe may begin. `live` are the ids of the runs that go on: there is one probe at a time."""
        return now >= self.probe_at and self.probe not in live

    def probed_by(self, run: str, now: datetime) -> Breaker:
        """The pause is for a probe that dies without a word."""
        return replace(self, probe=run, probe_at=now + _pause(self.failures))


def tripped(standing: Breaker | None, destination: str, run: str, now: datetime, reason: str) -> Breaker:
    """The breaker after `run` found the destination down. Runs that began before it opened don't prolong the pause."""
    if standing is None:
        return Breaker(destination, opened=now, probe_at=now + _pause(1), failures=1, reason=reason)
    if standing.probe != run and now < standing.probe_at:
        return standing
    failures = standing.failures + 1
    return replace(standing, probe="", probe_at=now + _pause(failures), failures=failures, reason=reason)


def needs(dataset: Dataset | None) -> frozenset[str]:
    """The destinations that files of the dataset go to, whole and its own part; None is what nobody claims."""
    if dataset is None:
        return frozenset()
    goes_to = [name for name, has in ((WAREHOUSE, dataset.table), (SEARCH, dataset.index)) if has is not None]
    return frozenset(goes_to) | {part_of(name, dataset.name) for name in goes_to}


def _pause(failures: int) -> timedelta:
    """30 s, 1 min, 2 min … 10 min."""
    doubled: int = 2 ** min(failures - 1, 10)
    return min(_FIRST_PAUSE * doubled, _LONGEST_PAUSE)
