"""How many runs, batches and listings a month of files has: by windows, pauses, `flush`, `pace` and leases."""

from __future__ import annotations

import math
from dataclasses import dataclass

from penstock.local.coming import MONTH, Files
from penstock.local.stack_template import StackTemplate
from penstock.model.plans import MAX_BATCHES

EVERY_MINUTE = 60
"""The schedule asks for a listing so often, whatever comes."""


@dataclass(frozen=True)
class Frequency:
    runs: int
    batches: int
    listings: int


def frequency_of(files: Files, stack: StackTemplate) -> Frequency:
    """Files come at random: the first after a run waits for its window, and takes with it what comes meanwhile."""
    if not files.a_month:
        return Frequency(0, 0, MONTH // EVERY_MINUTE)
    window, pause = stack.number("ArrivalsWindowSeconds"), stack.number("MinSecondsBetweenRuns")
    between = MONTH / files.a_month
    runs = MONTH / (max(window, pause, _gathering(files, between, window)) + between)
    runs = math.ceil(min(max(runs, files.a_month / _most_of_a_run(files, stack)), files.a_month))
    # Asked for by files, by runs that end, and by the schedule; one answers all that came in a window.
    listings = math.ceil(min(MONTH / (window + between) + runs + MONTH / EVERY_MINUTE, MONTH / window))
    batches = min(runs * batches_of(files, files.a_month / runs), files.a_month)
    return Frequency(runs, batches, listings)


def frequency_at_once(files: Files, stack: StackTemplate) -> Frequency:
    """Of all of them when they come in one moment, and are worked by runs."""
    runs = math.ceil(files.a_month / _most_of_a_run(files, stack))
    # Two a run: that which starts it, and that which its end asks for.
    return Frequency(runs, runs * batches_of(files, files.a_month / runs), 2 * runs)


def batches_of(files: Files, arrived: float) -> int:
    """Of a run that takes `arrived` files."""
    by_bytes = arrived / max(files.most_bytes // max(files.size, 1), 1)
    return max(1, math.ceil(max(arrived / files.most_files, by_bytes)))


def _gathering(files: Files, between: float, window: float) -> float:
    """Seconds from the first file to the run that takes it, where its dataset has a `flush`."""
    if files.flush is None:
        return 0
    full = min(files.flush.files, math.ceil(files.flush.bytes / max(files.size, 1))) - 1
    if full * between <= files.flush.after.total_seconds():
        return full * between + window
    # A listing sees that its time is over: the next that a file or the schedule asks for.
    return files.flush.after.total_seconds() + min(EVERY_MINUTE, window + between) / 2


def _most_of_a_run(files: Files, stack: StackTemplate) -> float:
    """Files that a run can lease when nothing else is leased. One file may be as large as it likes."""
    size = max(files.size, 1)
    most = [
        stack.number("MaxLeasedFiles"),
        stack.number("MaxLeasedBytes") / size,
        MAX_BATCHES * min(files.most_files, files.most_bytes / size),
    ]
    if files.pace:
        most += [files.pace.max_files, files.pace.max_bytes / size]
    return max(1.0, min(most))
