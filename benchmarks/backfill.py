"""`make bench-backfill`: many one-row files through a backfill, the whole template, on this machine.

For each number of files: the time, the memory of the planner's paging, transitions for a file, and what a million such
files would cost on AWS by the calls that were counted. Every row is counted in the table at the end.
`ARGS="1000 10000"` names the numbers.
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from penstock.adapters.clock import SystemClock
from penstock.flows.measure_backfill import measure_backfill
from penstock.flows.start_backfill import start_backfill
from penstock.local.backfill_cost import PART_DOCUMENTS
from penstock.local.billing import billed_calls
from penstock.local.cost import Line, Work, cost, total
from penstock.local.deployment import Deployment, local_deployment
from penstock.local.history import history_of
from penstock.local.stack import LocalStack
from penstock.model.backfills import PLAN_BATCHES
from penstock.model.dataset_files import load_datasets
from penstock.ports import ListingLease, RunStatus

DATASETS = Path(__file__).parent / "backfill_datasets"
FILES = (1_000, 10_000, 100_000)
AT_ONCE = 4
BATCH_FILES = 100
BATCH_DOCUMENTS = 2
"""Its settling, before and after: the dataset has no index."""
_TOLD = 10
"""Seconds between two lines of progress."""
console = Console()


@dataclass(frozen=True)
class Measured:
    files: int
    seconds: float
    paging_mib: float
    transitions: int
    lines: Sequence[Line]

    @property
    def dollars(self) -> float:
        return total(self.lines)

    @property
    def per_million(self) -> float:
        return self.dollars / self.files * 1_000_000


def main(numbers: list[int]) -> None:
    measured = []
    for files in numbers:
        parameters = {"MaxBackfillBatches": str(AT_ONCE), "BackfillThresholdFiles": "0"}
        with LocalStack.temporary("backfill", datasets=DATASETS, parameters=parameters) as stack:
            measured.append(measure(stack, files))
            show(measured)


def measure(stack: LocalStack, files: int) -> Measured:
    target = local_deployment(stack)
    with listings_held_up(target) as lease:
        put(stack, files)
        paging = paging_mib(target)
        began = told = time.perf_counter()
        run = start_backfill(target.leases, target.runs, SystemClock(), lease, [], "incoming/", 10_000, 2**40, AT_ONCE)
        while target.runs.status(target.runs.execution_of(run)) is RunStatus.RUNNING:
            time.sleep(0.2)  # Nothing tells when it is done: who waits asks again.
            if time.perf_counter() - told > _TOLD:
                told = time.perf_counter()
                with psycopg.connect(stack.warehouse_dsn("owner")) as connection:
                    done = connection.execute("SELECT count(*) FROM penstock.load").fetchone()
                console.print(f"{told - began:.0f} s: {done[0] if done else 0:,} of {files:,} files are decided")
        seconds = time.perf_counter() - began
    status = target.runs.status(target.runs.execution_of(run))
    with psycopg.connect(stack.warehouse_dsn("owner")) as connection:
        rows = connection.execute("SELECT count(*), count(DISTINCT sensor) FROM readings").fetchone()
    left = sum(1 for _ in target.store.keys("incoming/"))
    if status is not RunStatus.SUCCEEDED or rows != (files, files) or left:
        raise SystemExit(f"{files:,} files: {run} {status}, rows {rows}, {left:,} files left in incoming/")
    return Measured(files, seconds, paging, *counted(target, run, files))


def counted(target: Deployment, run: str, files: int) -> tuple[int, Sequence[Line]]:
    """Transitions, and dollars on AWS, from the calls that were made."""
    client = target.client("stepfunctions")
    machine = target.outputs["BackfillStateMachineArn"]
    definition = json.loads(client.describe_state_machine(stateMachineArn=machine)["definition"])
    pages = client.get_paginator("get_execution_history").paginate(executionArn=target.runs.execution_of(run))
    transitions = history_of([event for page in pages for event in page["events"]], definition).transitions
    calls = [call for call in billed_calls(target.client("logs"), target.name) if call.function != "list_incoming"]
    batches = -(-files // BATCH_FILES)
    lines = cost(
        Work(
            files=0,
            moved=files,
            opened=files,
            runs=1,
            batches=batches,
            listings=-(-files // 1000),
            documents_written=batches * BATCH_DOCUMENTS + batches // PLAN_BATCHES + PART_DOCUMENTS,
            invocations=len(calls),
            gb_seconds=sum(call.gb_seconds for call in calls),
            transitions=transitions,
        )
    )
    return transitions, lines


@contextmanager
def listings_held_up(target: Deployment) -> Iterator[ListingLease]:
    """No listing plans anything meanwhile: the files are all the backfill's."""
    clock = SystemClock()
    while (lease := target.leases.acquire_listing("bench", clock.now(), timedelta(hours=12))) is None:
        time.sleep(0.2)  # Nothing tells when it is done: who waits asks again.
    try:
        yield lease
    finally:
        while target.leases.release_listing(lease):
            continue


def put(stack: LocalStack, files: int) -> None:
    client = stack.client("s3")

    def one(number: int) -> None:
        key = f"incoming/readings/{number % 97:02d}/{number:07d}.csv"
        client.put_object(Bucket=stack.bucket, Key=key, Body=b"sensor,value\n%d,1\n" % number)

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(one, range(files)):
            pass


def paging_mib(target: Deployment) -> float:
    """The most that Python holds while all of the prefix is paged through and packed as the planner does it."""
    known = load_datasets(DATASETS)
    tracemalloc.start()
    measure_backfill(target.store, target.leases, SystemClock(), known, "incoming/")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 2**20


def show(measured: list[Measured]) -> None:
    made = Table()
    for column in ("files", "seconds", "files/s", "paging, MiB", "transitions a file", "$ a million files"):
        made.add_column(column, justify="right")
    for one in measured:
        made.add_row(
            f"{one.files:,}",
            f"{one.seconds:.1f}",
            f"{one.files / one.seconds:.0f}",
            f"{one.paging_mib:.1f}",
            f"{one.transitions / one.files:.4f}",
            f"{one.per_million:.2f}",
        )
    console.print(made)
    for line in measured[-1].lines:
        console.print(f"{line.service}: {line.what}: ${line.dollars:.4f}")


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or list(FILES))
