"""`make bench-backfill`: many one-row files through a backfill, the whole template, on this machine.

For each number of files: the time, also of each tenth of them, the planner's memory, transitions for a file, and what a
million such files would cost on AWS by the calls that were counted. Every row is counted in the table at the end.
`ARGS="1000 10000"` names the numbers. They are written to `benchmarks/results/backfill-<date>.json` as they are done,
and when all are, without ARGS, to docs/costs.md.
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import psycopg

from benchmarks.backfill_results import Measured, console, publish, save, show
from benchmarks.functions import spent_by_function
from penstock.adapters.clock import SystemClock
from penstock.flows.measure_backfill import measure_backfill
from penstock.flows.start_backfill import start_backfill
from penstock.local.backfill_cost import PART_DOCUMENTS
from penstock.local.billing import billed_calls
from penstock.local.cost import Line, Work, cost
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
LISTER = "list_incoming"


def main(numbers: list[int]) -> None:
    measured: list[Measured] = []
    for files in numbers:
        parameters = {"MaxBackfillBatches": str(AT_ONCE), "BackfillThresholdFiles": "0"}
        with LocalStack.temporary("backfill", datasets=DATASETS, parameters=parameters) as stack:
            measured.append(measure(stack, files))
        show(measured)
        save(measured, AT_ONCE)
    if numbers == list(FILES):
        publish(measured, AT_ONCE)


def measure(stack: LocalStack, files: int) -> Measured:
    target = local_deployment(stack)
    with listings_held_up(target) as lease:
        began = time.perf_counter()
        put(stack, files)
        put_seconds = time.perf_counter() - began
        console.print(f"{files:,} files: put in {put_seconds:.0f} s")
        paging = paging_mib(target)
        began, at = time.perf_counter(), datetime.now(UTC)
        run = start_backfill(target.leases, target.runs, SystemClock(), lease, [], "incoming/", 10_000, 2**40, AT_ONCE)
        follow(stack, target, run, files)
        seconds = time.perf_counter() - began
    status = target.runs.status(target.runs.execution_of(run))
    with psycopg.connect(stack.warehouse_dsn("owner")) as connection:
        rows = connection.execute("SELECT count(*), count(DISTINCT sensor) FROM readings").fetchone()
    left = sum(1 for _ in target.store.keys("incoming/"))
    if status is not RunStatus.SUCCEEDED or rows != (files, files) or left:
        raise SystemExit(f"{files:,} files: {run} {status}, rows {rows}, {left:,} files left in incoming/")
    spent = [one for one in spent_by_function(target.client("logs"), target.name) if one.function != LISTER]
    return Measured(files, seconds, tenths(stack, at), put_seconds, paging, *counted(target, run, files), spent)


def follow(stack: LocalStack, target: Deployment, run: str, files: int) -> None:
    """Until it has ended; how far it is, it says meanwhile."""
    began = told = time.perf_counter()
    before = 0
    with psycopg.connect(stack.warehouse_dsn("owner"), autocommit=True) as connection:
        while target.runs.status(target.runs.execution_of(run)) is RunStatus.RUNNING:
            time.sleep(0.2)  # Nothing tells when it is done: who waits asks again.
            since = time.perf_counter() - told
            if since > _TOLD:
                told += since
                (done,) = connection.execute("SELECT count(*) FROM penstock.load").fetchone() or (0,)
                rate = (done - before) / since
                console.print(f"{told - began:5.0f} s: {done:,} of {files:,} files are decided, {rate:.0f}/s")
                before = done


def tenths(stack: LocalStack, began: datetime) -> list[float]:
    """The clocks of the database and of this process are the machine's."""
    with psycopg.connect(stack.warehouse_dsn("owner")) as connection:
        found = connection.execute(
            "SELECT max(decided_at) FROM (SELECT decided_at, ntile(10) OVER (ORDER BY decided_at) AS tenth"
            " FROM penstock.load) AS decided GROUP BY tenth ORDER BY tenth"
        ).fetchall()
    ends = [began, *(end for (end,) in found)]
    return [round((end - start).total_seconds(), 2) for start, end in pairwise(ends)]


def counted(target: Deployment, run: str, files: int) -> tuple[int, Sequence[Line]]:
    """Transitions, and dollars on AWS, from the calls that were made; Lambda's are of the seconds that it took here."""
    client = target.client("stepfunctions")
    machine = target.outputs["BackfillStateMachineArn"]
    definition = json.loads(client.describe_state_machine(stateMachineArn=machine)["definition"])
    pages = client.get_paginator("get_execution_history").paginate(executionArn=target.runs.execution_of(run))
    transitions = history_of([event for page in pages for event in page["events"]], definition).transitions
    calls = [call for call in billed_calls(target.client("logs"), target.name) if call.function != LISTER]
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
    """Nobody listens to them: of a backfill's files the events are long past.

    The emulator hands out ten messages a call, where the mapping says a thousand, and the lister would be called
    10,000 times.
    """
    client, queue, mappings = stack.client("s3"), stack.outputs["ArrivalsQueueUrl"], stack.client("lambda")
    of_queue = stack.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    for mapping in mappings.list_event_source_mappings(EventSourceArn=of_queue["QueueArn"])["EventSourceMappings"]:
        mappings.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)

    def one(number: int) -> None:
        key = f"incoming/readings/{number % 97:02d}/{number:07d}.csv"
        client.put_object(Bucket=stack.bucket, Key=key, Body=b"sensor,value\n%d,1\n" % number)

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(one, range(files)):
            pass
    stack.client("sqs").purge_queue(QueueUrl=queue)


def paging_mib(target: Deployment) -> float:
    """The most that Python holds while all of the prefix is paged through and packed as the planner does it."""
    known = load_datasets(DATASETS)
    tracemalloc.start()
    measure_backfill(target.store, target.leases, SystemClock(), known, "incoming/")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 2**20


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or list(FILES))
