"""The demo from its first step to its last: up, put, watch, account, put again, replay as events, down."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg

from penstock.adapters.pipelines import status_of
from penstock.local.demo import archived, replay, stream_account
from penstock.local.demo.account import Account, compare, count, draw_up, duplicates_in
from penstock.local.demo.departures import sendings
from penstock.local.demo.drive import Look, drive
from penstock.local.demo.files import DemoFile, demo_files
from penstock.local.deployment import Deployment, local_deployment
from penstock.local.search_node import EMBEDDED
from penstock.local.stack import LocalStack
from penstock.model.dataset_files import load_datasets
from penstock.model.datasets import Dataset

AT_MOST = 300.0
"""Seconds after which a round of the demo is given up: it takes a twentieth of that."""
PATIENCE = 60.0
"""Seconds for which the last events are waited for: they take one or two."""
STREAM = {
    "Stream": "provisioned",
    "StreamShards": "2",
    "Archive": "stream",
    "ArchivePrefix": f"{archived.DATASET}/",
    "ArchiveSeconds": str(archived.SECONDS),
}

LATE = """
    SELECT airport, flights, minutes_late FROM late_by_airport
    WHERE arrived > 100 ORDER BY minutes_late DESC LIMIT 3
"""
"""Of a view that the runs have rebuilt (datasets/views)."""
WORDS = ("airports", "kennedy")


@dataclass(frozen=True)
class Stage:
    """Where the tour shows itself: `say` is told each step, the others each look at files, or events, on their way."""

    say: Callable[[str], None]
    look: Callable[[Look], None]
    events: Callable[[replay.Look], None]


@dataclass(frozen=True)
class Taste:
    """What one can do with what was loaded: a query with its rows, and a search with its best document."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    index: str
    words: str
    documents: Sequence[Mapping[str, Any]]


def tour(
    name: str, *, days: int, again: bool, keep: bool, speed: float, stage: Stage, search: str = EMBEDDED
) -> tuple[Account, Taste]:
    """Runs the demo on a stack of its own, its second act so many times as fast as it was; 0: without that.

    Raises PermanentError when a stack of that name is up already.
    """
    began = time.monotonic()
    with ThreadPoolExecutor(1) as aside, contextlib.ExitStack() as held:
        cutting = aside.submit(demo_files, days)  # While the engines start, which is mostly waiting for them.
        parameters = STREAM if speed else {}
        stack = held.enter_context(_stack(name, keep=keep, on_progress=stage.say, search=search, parameters=parameters))
        deployment = local_deployment(stack)
        if speed:
            held.enter_context(replay.without_the_rule(deployment))
        stage.say("cutting a year of flights into days")
        files = cutting.result()
        of_files = {file.dataset for file in files}
        datasets = {name: one for name, one in load_datasets(stack.datasets).items() if name in of_files}
        seconds = drive(deployment, datasets, files, stage.look, at_most=AT_MOST)
        stage.say("counting rows and documents against the files")
        account = draw_up(deployment, datasets, files, seconds)
        _await_rebuilds(deployment, account)
        taste = _taste(deployment)
        if again:
            _again(deployment, datasets, files, account, stage)
        if speed:
            account.stream = _replay(deployment, files, speed, stage)
            account.problems += account.stream.problems
    account.total_seconds = time.monotonic() - began
    return account, taste


def _await_rebuilds(deployment: Deployment, account: Account) -> None:
    """The state machines that the runs kicked off; one that does not end well is a problem."""
    until = time.monotonic() + AT_MOST
    for kick_off in account.kick_offs:
        reference = kick_off["reference"]
        if not reference.startswith("arn:"):
            continue
        while (status := status_of(deployment.client, reference)) == "RUNNING" and time.monotonic() < until:
            time.sleep(0.05)
        if status != "SUCCEEDED":
            account.problems.append(f"what run {kick_off['run']} kicked off for {kick_off['dataset']} is {status}")


def _again(
    deployment: Deployment, datasets: Mapping[str, Dataset], files: Sequence[Any], account: Account, stage: Stage
) -> None:
    before = count(deployment, datasets)
    stage.say("putting the same files a second time")
    seconds = drive(deployment, datasets, files, stage.look, at_most=AT_MOST)
    stage.say("counting again")
    known = duplicates_in(deployment, account.runs)
    compare(account, before, count(deployment, datasets), len(files), seconds, known)


def _replay(
    deployment: Deployment, files: Sequence[DemoFile], speed: float, stage: Stage
) -> stream_account.StreamAccount:
    stage.say("making events of a week of flights")
    events = sendings(files)
    replayed = replay.replay(deployment, events, speed, stage.events, patience=PATIENCE)
    stage.say("counting by SQL what the stream has counted, and what its archive has loaded")
    return stream_account.draw_up(deployment, events, replayed, speed)


@contextlib.contextmanager
def _stack(name: str, *, keep: bool, **options: Any) -> Iterator[LocalStack]:
    """One that ends with the tour however that ends, unless it is to be kept."""
    if not keep:
        with LocalStack.temporary(name, **options) as stack:
            yield stack
        return
    yield LocalStack.up(name, **options)


def _taste(deployment: Deployment) -> Taste:
    with psycopg.connect(deployment.conninfo("owner")) as connection:
        cursor = connection.execute(LATE)
        columns = [column.name for column in cursor.description or ()]
        rows = cursor.fetchall()
    index, words = WORDS
    documents = deployment.search.search(index, words, 1) if deployment.search else []
    return Taste(columns, rows, index, words, documents)
