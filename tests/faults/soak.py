"""5,000 files from three producers, while Lambda workers are killed at random: `python -m tests.faults.soak`.

A tenth of the files are put again as they are, a tenth are overwritten, two in a hundred are bad. S3's notifications
and a tick of the schedule start listings, as deployed. Penstock's clock runs ten times as fast as the machine's, so
that leases of killed listings and times of put-back files pass sooner. It has to end by itself, with every row
accounted for. It writes docs/soak.md (`make soak`).

A busy machine does everything more slowly but the killing: a listing that takes ten seconds never ends where a worker
is killed every second and no other one works. So after a few kills something has to have got done before the next.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psutil
from tests.faults.checker import leaked_in_logs, wrong
from tests.faults.deployment import REPOSITORY, FaultyStack, faulty_stack, revision
from tests.faults.scenarios import File, Put, csv_of, jsonl_of

from penstock.flows.reconcile import Kept, Scope, reconcile
from penstock.model.dataset_files import load_datasets
from penstock.model.reconciliation import Reconciliation

PAGE = REPOSITORY / "docs" / "soak.md"
CASE = "soak"
PRODUCERS = 3
SPEED = 10
TICK_SECONDS = 6.0
"""A minute on Penstock's clock."""
IN_VAIN = 3
"""So many kills in a row may let nothing get done."""

_HEAD = """# Soak

*Written by `make soak` (`tests/faults/soak.py`); don't edit it. It tells of one run.*

Three producers put small files on the whole template on one machine: a tenth of them again as they are, a tenth
overwritten, two in a hundred bad. Meanwhile workers are killed at random, by SIGKILL, and Penstock's clock runs ten
times as fast as the machine's, so that leases and times of put-back files pass sooner. After three kills that let
nothing get done it waits until something is: a busy machine is slower at everything but killing. It has to end by
itself; then the campaign's checker ([faults.md](faults.md)) and `penstock reconcile` have to find nothing.
"""


def files_of(producer: int, count: int, random_: random.Random) -> list[File]:
    """`count` PUTs in their order, of keys that are this producer's own."""
    puts: list[File] = []
    while len(puts) < count:
        number = len(puts)
        name = f"{producer}-{number}"
        kind = random_.random()
        if kind < 0.02:
            puts.append(File(f"incoming/strict/{CASE}/{name}.csv", csv_of(CASE, name, 2, bad=1), "strict", failed=True))
        elif kind < 0.22 and puts and not puts[-1].failed:
            before = puts[-1]
            if kind < 0.12:
                puts.append(replace(before, duplicate=True, replaced=False))
            elif before.dataset == "readings" and not before.duplicate:
                puts[-1] = replace(before, replaced=True)
                puts.append(File(before.key, csv_of(CASE, name, 3), "readings"))
        elif kind < 0.8:
            puts.append(File(f"incoming/readings/{CASE}/{name}.csv", csv_of(CASE, name, 5), "readings"))
        else:
            puts.append(File(f"incoming/people/{CASE}/{name}.jsonl", jsonl_of(CASE, name, 4), "people"))
    return puts


def put_all(faulty: FaultyStack, files: Sequence[File]) -> list[Put]:
    s3, bucket = faulty.client("s3"), faulty.deployment.bucket
    return [
        Put(file, bucket, s3.put_object(Bucket=bucket, Key=file.key, Body=file.body)["VersionId"]) for file in files
    ]


class Killer:
    """Kills one of `workers` from time to time, until it is told to stop.

    `done` counts what got done: when it stands still, so does the killing. `every` is the mean of the seconds between.
    """

    def __init__(
        self,
        workers: Callable[[], Sequence[psutil.Process]],
        done: Callable[[], int],
        every: float,
        random_: random.Random,
    ) -> None:
        self._workers = workers
        self._done = done
        self._every = every
        self._random = random_
        self._stopped = threading.Event()
        self.killed = 0

    def run(self) -> None:
        before, in_vain = self._done(), 0
        while not self._stopped.wait(self._random.expovariate(1 / self._every)):
            if in_vain >= IN_VAIN and self._done() == before:
                continue
            if in_vain >= IN_VAIN:
                before, in_vain = self._done(), 0
            workers = self._workers()
            if workers:
                with contextlib.suppress(psutil.Error, ProcessLookupError):
                    os.kill(self._random.choice(workers).pid, signal.SIGKILL)
                    self.killed += 1
                    in_vain += 1

    def stop(self) -> None:
        self._stopped.set()


def workers_of(faulty: FaultyStack) -> list[psutil.Process]:
    """Those of this stack's own MiniStack."""
    [ministack] = [engine.pid for engine in faulty.stack.status() if engine.name == "ministack"]
    workers = []
    for child in psutil.Process(ministack).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "lambda_worker" in " ".join(child.cmdline()):
                workers.append(child)
    return workers


def soak(count: int, every: float, most: float, seed: int) -> dict[str, Any]:
    """What it did, and what was wrong. `every` is the mean of the seconds between two kills."""
    random_ = random.Random(seed)  # noqa: S311 - no secret
    with faulty_stack("soak", notified=True) as faulty:
        killer = Killer(
            partial(workers_of, faulty),
            partial(faulty.count, "plans/"),
            every,
            random.Random(seed),  # noqa: S311 - no secret
        )
        killing = threading.Thread(target=killer.run)
        killing.start()
        began = last_tick = time.monotonic()
        try:
            with ThreadPoolExecutor(PRODUCERS) as pool:
                shares = [count // PRODUCERS + (n < count % PRODUCERS) for n in range(PRODUCERS)]
                files = [files_of(n, share, random_) for n, share in enumerate(shares)]
                putting = [pool.submit(put_all, faulty, mine) for mine in files]
                while True:
                    time.sleep(0.5)
                    faulty.advance(0.5 * (SPEED - 1))
                    if time.monotonic() - last_tick > TICK_SECONDS:
                        last_tick = time.monotonic()
                        faulty.ask_for_a_listing()
                        left = faulty.count("incoming/")
                        sys.stderr.write(
                            f"{time.monotonic() - began:.0f} s: {left:,} in incoming/, {killer.killed} workers killed\n"
                        )
                        if all(put.done() for put in putting) and _at_rest(faulty):
                            break
                    if time.monotonic() - began > most:
                        break
                puts = [put for done in putting for put in done.result()]
        finally:
            killer.stop()
            killing.join()
        seconds = time.monotonic() - began
        quiet = faulty.await_quiet()
        executions = faulty.executions()
        troubles = wrong(faulty, CASE, puts, executions) + leaked_in_logs(faulty)
        reconciled = _reconciled(faulty)
        if reconciled.total:
            troubles.append(f"reconcile: {reconciled.total} arrivals disagree, as {reconciled.disagreements[0]}")
        if not quiet:
            troubles.insert(0, "6: runs or invocations go on")
    return {
        "files": len(puts),
        "duplicates": sum(put.file.duplicate for put in puts),
        "overwritten": sum(put.file.replaced for put in puts),
        "bad": sum(put.file.failed for put in puts),
        "killed": killer.killed,
        "runs": len(executions),
        "seconds": round(seconds, 1),
        "reconciled": sum(checked.arrivals for checked in reconciled.checked.values()),
        "seed": seed,
        "wrong": troubles[:20],
    }


@dataclass(frozen=True)
class _Clock:
    """Penstock's, which is ahead of this machine's."""

    ahead: float

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead)


def _reconciled(faulty: FaultyStack) -> Reconciliation:
    """What `penstock reconcile` says, beside the checker, which shares no code with it."""
    of = faulty.deployment
    clock, known = _Clock(faulty.ahead), load_datasets(faulty.stack.datasets)
    return reconcile(of.store, of.leases, of.runs, of.warehouse, of.search, clock, known, Scope(), Kept(0, 0))


def _at_rest(faulty: FaultyStack) -> bool:
    return not faulty.left() and not faulty.running()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--every", type=float, default=1.5, help="mean seconds between two kills")
    parser.add_argument("--minutes", type=float, default=20.0, help="give up after so long")
    parser.add_argument("--seed", type=int, default=20131001)
    given = parser.parse_args(arguments)
    found = soak(given.files, given.every, given.minutes * 60, given.seed)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    PAGE.write_text(_page(found, revision()))
    return 1 if found["wrong"] else 0


def _page(found: Mapping[str, Any], code: str) -> str:
    counts = ("files", "duplicates", "overwritten", "bad", "killed", "runs", "reconciled")
    lines = [
        _HEAD,
        f"The code was that of {code or 'no clone'}; seed {found['seed']}.",
        "",
        "| files | duplicates | overwritten | bad | workers killed | runs | arrivals reconciled | seconds |",
        "|---|---|---|---|---|---|---|---|",
        f"| {' | '.join(f'{found[name]:,}' for name in counts)} | {found['seconds']} |",
        "",
    ]
    if found["wrong"]:
        lines += ["What was wrong:", "", *(f"- {text}" for text in found["wrong"])]
    else:
        lines.append("All invariants held.")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
