"""Puts the demo's files and looks on until nothing is left to do."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from penstock.local.demo.files import DemoFile
from penstock.local.deployment import Deployment
from penstock.local.put import put_bodies
from penstock.local.watch import LatestCounts, Status, observe
from penstock.model.arrivals import INCOMING
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError

EVERY = 0.5
"""Seconds between two looks: what a person takes for live, and a few requests to engines that have work to do."""
MOST = 2.0
"""Seconds between two looks where looking is slow."""
_WINDOW = 3.0
"""Seconds over which rows and documents per second are told."""


@dataclass
class Look:
    """What is seen at one moment. `put` counts files by dataset; rates are per second, over the last seconds."""

    status: Status
    put: Mapping[str, int]
    to_put: Mapping[str, int]
    seconds: float
    rows: int = 0
    documents: int = 0
    rows_rate: float = 0.0
    documents_rate: float = 0.0
    before: Mapping[str, int] = field(default_factory=dict)
    """Files by dataset that were settled before this round began."""


def key_of(file: DemoFile, datasets: Mapping[str, Dataset]) -> str:
    return f"{INCOMING}{datasets[file.dataset].prefix}{file.key}"


def drive(
    deployment: Deployment,
    datasets: Mapping[str, Dataset],
    files: Sequence[DemoFile],
    show: Callable[[Look], None],
    *,
    at_most: float,
) -> float:
    """Puts `files`, from several threads, and shows what becomes of them until none is left and no run is live.

    The seconds from the first PUT to then. Raises PermanentError when it takes longer than `at_most` seconds, with what
    was left and why.
    """
    start = observe(deployment, datasets)
    before = {name: found.processed + found.failed for name, found in start.datasets.items()}
    to_put = {name: sum(1 for file in files if file.dataset == name) for name in datasets}
    put = dict.fromkeys(datasets, 0)
    names = {key_of(file, datasets): file.dataset for file in files}
    began = time.monotonic()
    history: deque[tuple[float, int, int]] = deque([(0.0, *_sums(start))])

    def count(key: str) -> None:
        put[names[key]] += 1

    with ThreadPoolExecutor(1) as pool, contextlib.closing(LatestCounts(deployment)) as counts:
        putting = pool.submit(put_bodies, deployment, [(key_of(file, datasets), file.body) for file in files], count)
        while True:
            all_there = putting.done()  # Asked before the look: what is put after it is in the next one.
            if all_there:
                putting.result()
            asked = time.monotonic() - began
            status = observe(deployment, datasets, counts)
            look = _look(status, put, to_put, time.monotonic() - began, history)
            look.before = before
            show(look)
            if all_there and status.at_rest:
                return look.seconds
            if look.seconds > at_most:
                raise PermanentError(_late(status, at_most))
            # Looking takes time from the engines that it looks at: half of it at most.
            time.sleep(min(max(EVERY, time.monotonic() - began - asked), MOST))


def _look(
    status: Status,
    put: Mapping[str, int],
    to_put: Mapping[str, int],
    seconds: float,
    history: deque[tuple[float, int, int]],
) -> Look:
    rows, documents = _sums(status)
    history.append((seconds, rows, documents))
    while len(history) > 2 and history[1][0] < seconds - _WINDOW:
        history.popleft()
    then, rows_then, documents_then = history[0]
    span = max(seconds - then, 1e-9)
    return Look(
        status,
        dict(put),
        to_put,
        seconds,
        rows,
        documents,
        (rows - rows_then) / span,
        (documents - documents_then) / span,
    )


def _sums(status: Status) -> tuple[int, int]:
    found = status.datasets.values()
    return sum(one.rows or 0 for one in found), sum(one.documents or 0 for one in found)


def _late(status: Status, at_most: float) -> str:
    waiting = {attempt.reason for attempt in status.waiting}
    why = f" Put back: {'; '.join(sorted(waiting))}." if waiting else ""
    live = f" Live runs: {', '.join(status.running)}." if status.running else " No run is live."
    return (
        f"after {at_most:.0f} s {status.incoming} files are still in incoming/.{live}{why} "
        "Look closer with: penstock runs, penstock run last"
    )
