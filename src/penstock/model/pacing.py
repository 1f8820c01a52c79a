"""How much of a dataset is worked at once: a little more while its destinations are quick, half when they are not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from penstock.model.limits import Pace
from penstock.model.memos import DatasetMemo

_REFUSED = 10
"""One file in so many put back says that a destination refused. Fewer may be the files' own fault."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a run that is over showed of a dataset's destinations."""

    started: datetime
    files: int
    put_back: int
    """Files that a destination did not take: it refused connections, answered 429, or took too long.

    Not those whose worker died: that says nothing of a destination, and one bad file would slow all others down.
    """
    seconds: float
    """From the plan until the last of its batches was settled."""
    settled: bool = True
    """False when the run was not summed up: then it may have been slow, and was not quick."""


def pace_of(pace: Pace, memo: DatasetMemo) -> int:
    """Files that may be leased at once, whatever is remembered."""
    return min(max(memo.pace or 0, pace.min_files), pace.max_files)


def adapted(pace: Pace, memo: DatasetMemo, shown: Shown, held: int, now: datetime) -> DatasetMemo:
    """Additive up, multiplicative down. `held` are the files that other live runs lease of the dataset.

    Runs that began before the last halving saw what it answers, and don't halve again. What used less than half of
    the pace says nothing about more.
    """
    files = pace_of(pace, memo)
    refused = shown.put_back * _REFUSED > shown.files
    if refused or shown.seconds > pace.within.total_seconds():
        if memo.slowed and shown.started < memo.slowed:
            return memo
        return memo.model_copy(update={"pace": max(files // 2, pace.min_files), "slowed": now})
    if not shown.settled or 2 * (shown.files + held) < files:
        return memo
    return memo.model_copy(update={"pace": min(files + pace.min_files, pace.max_files)})
