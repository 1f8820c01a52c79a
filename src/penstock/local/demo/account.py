"""The demo's account: every file and every row, what was expected beside what is there, and what does not add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from penstock.local.billing import billed_calls
from penstock.local.cost import PRICES_AS_OF, REGION, Line, Work, cost, total
from penstock.local.demo.drive import key_of
from penstock.local.demo.files import DemoFile, rows_in
from penstock.local.demo.stream_account import StreamAccount
from penstock.local.deployment import Deployment
from penstock.local.runs import RunStory, list_runs, tell
from penstock.local.watch import observe
from penstock.model.arrivals import PLANS
from penstock.model.datasets import Dataset
from penstock.model.outcomes import SettledArrival, Settlement

MOST_RUNS = 1000


@dataclass(frozen=True)
class DatasetAccount:
    """`rows_in_files` are those of its files that were not quarantined, by an independent reader."""

    files: int
    rows_in_files: int
    rows_loaded: int
    rows_rejected: int
    documents: int
    documents_expected: int


@dataclass(frozen=True)
class Quarantined:
    key: str
    reason: str
    rejects: int


@dataclass(frozen=True)
class Count:
    """What a destination holds at one moment, by dataset."""

    rows: Mapping[str, int]
    documents: Mapping[str, int]


@dataclass(frozen=True)
class Again:
    """The second time the same files were put."""

    files: int
    seconds: float
    rows_added: int
    documents_added: int
    duplicates: int
    """Files that were recognised as loaded before."""


@dataclass
class Account:
    seconds: float
    arrived: int
    processed: int
    failed: int
    left: int
    datasets: Mapping[str, DatasetAccount]
    quarantined: Sequence[Quarantined]
    kick_offs: Sequence[Mapping[str, str]]
    runs: Sequence[RunStory]
    cost: Sequence[Line]
    again: Again | None = None
    stream: StreamAccount | None = None
    total_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    """What does not add up, in words; empty when all does."""

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": not self.problems,
            "problems": self.problems,
            "seconds": round(self.seconds, 3),
            "total_seconds": round(self.total_seconds, 3),
            "files": {
                "arrived": self.arrived,
                "processed": self.processed,
                "failed": self.failed,
                "left_in_incoming": self.left,
            },
            "datasets": {name: dict(account.__dict__) for name, account in self.datasets.items()},
            "quarantined": [dict(found.__dict__) for found in self.quarantined],
            "kickoffs": [dict(kick_off) for kick_off in self.kick_offs],
            "runs": [
                {
                    "id": story.run.id,
                    "status": story.run.status,
                    "transitions": story.history.transitions,
                    "seconds": round(story.run.lasted.total_seconds(), 3) if story.run.lasted else None,
                    "batches": len(story.batches),
                    "files": sum(len(batch.batch.arrivals) for batch in story.batches),
                }
                for story in self.runs
            ],
            "cost": {
                "dollars": round(total(self.cost), 6),
                "prices_as_of": PRICES_AS_OF,
                "region": REGION,
                "lines": [dict(line.__dict__) for line in self.cost],
            },
            "again": dict(self.again.__dict__) if self.again else None,
            "stream": self.stream.to_json() if self.stream else None,
        }


def count(deployment: Deployment, datasets: Mapping[str, Dataset]) -> Count:
    """Counts the tables themselves, not the load ledger, and the indexes."""
    rows: dict[str, int] = {}
    with psycopg.connect(deployment.conninfo("owner")) as connection:
        for dataset in datasets.values():
            if dataset.table is not None:
                table = sql.Identifier(dataset.table.schema_name, dataset.table.name)
                found = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchone()
                rows[dataset.name] = int(found[0]) if found else 0
    search = deployment.search
    indexes = {dataset.name: dataset.index.name for dataset in datasets.values() if dataset.index and search}
    return Count(rows, {name: search.count(index) for name, index in indexes.items() if search})


def draw_up(
    deployment: Deployment, datasets: Mapping[str, Dataset], files: Sequence[DemoFile], seconds: float
) -> Account:
    """The account of all that a stack did with `files`, which were put once. Its `problems` are what differs."""
    stories = [tell(deployment, run) for run in list_runs(deployment, MOST_RUNS)]
    settled = {arrival.key: arrival for arrival in _settled(stories)}
    quarantined = [
        Quarantined(arrival.key, arrival.reason, arrival.rejects)
        for arrival in sorted(settled.values(), key=lambda arrival: arrival.key)
        if arrival.settlement is Settlement.FAILED
    ]
    status = observe(deployment, datasets)
    account = Account(
        seconds=seconds,
        arrived=len(files),
        processed=sum(found.processed for found in status.datasets.values()),
        failed=sum(found.failed for found in status.datasets.values()),
        left=status.incoming,
        datasets=_datasets(deployment, datasets, files, settled),
        quarantined=quarantined,
        kick_offs=[
            {"run": story.run.id, "dataset": dataset, "reference": reference}
            for story in stories
            for dataset, reference in story.kick_offs.items()
        ],
        runs=stories,
        cost=cost(_work(deployment, datasets, files, stories)),
    )
    account.problems += _problems(account, datasets, files)
    return account


def compare(account: Account, before: Count, after: Count, files: int, seconds: float, duplicates: int) -> None:
    """Adds what putting the same files again did: it must have added nothing."""
    account.again = Again(
        files=files,
        seconds=round(seconds, 3),
        rows_added=sum(after.rows.values()) - sum(before.rows.values()),
        documents_added=sum(after.documents.values()) - sum(before.documents.values()),
        duplicates=duplicates,
    )
    for what, old, new in (("rows", before.rows, after.rows), ("documents", before.documents, after.documents)):
        for name in old:
            if old[name] != new[name]:
                account.problems.append(f"{name}: {old[name]:,} {what}, and {new[name]:,} after the same files again")


def duplicates_in(deployment: Deployment, known: Sequence[RunStory]) -> int:
    """How many files the runs that are not `known` recognised as loaded before."""
    old = {story.run.id for story in known}
    new = [tell(deployment, run) for run in list_runs(deployment, MOST_RUNS) if run.id not in old]
    return sum(arrival.duplicate for arrival in _settled(new))


def _settled(stories: Sequence[RunStory]) -> Iterator[SettledArrival]:
    for story in stories:
        for batch in story.batches:
            yield from (arrival for arrival in batch.arrivals if arrival.settlement is not Settlement.PUT_BACK)


def _datasets(
    deployment: Deployment,
    datasets: Mapping[str, Dataset],
    files: Sequence[DemoFile],
    settled: Mapping[str, SettledArrival],
) -> dict[str, DatasetAccount]:
    held = count(deployment, datasets)
    accounts = {}
    for name, dataset in datasets.items():
        mine = [file for file in files if file.dataset == name]
        fates = {file.key: settled.get(key_of(file, datasets)) for file in mine}
        good = [file for file in mine if (fate := fates[file.key]) and fate.settlement is Settlement.PROCESSED]
        rejected = sum(fate.rejects for fate in fates.values() if fate and fate.settlement is Settlement.PROCESSED)
        accounts[name] = DatasetAccount(
            files=len(mine),
            rows_in_files=sum(rows_in(file) or 0 for file in good),
            rows_loaded=held.rows.get(name, 0),
            rows_rejected=rejected,
            documents=held.documents.get(name, 0),
            documents_expected=_documents_expected(deployment, dataset),
        )
    return accounts


def _documents_expected(deployment: Deployment, dataset: Dataset) -> int:
    """A document for each row, or for each value of the columns that identify one."""
    if dataset.table is None or dataset.index is None:
        return 0
    table = sql.Identifier(dataset.table.schema_name, dataset.table.name)
    what: sql.Composable = sql.SQL("*")
    if dataset.index.id_columns:
        names = sql.SQL(", ").join(map(sql.Identifier, dataset.index.id_columns))
        what = sql.SQL("DISTINCT ({})").format(names)
    with psycopg.connect(deployment.conninfo("owner")) as connection:
        found = connection.execute(sql.SQL("SELECT count({}) FROM {}").format(what, table)).fetchone()
    return int(found[0]) if found else 0


def _problems(account: Account, datasets: Mapping[str, Dataset], files: Sequence[DemoFile]) -> Iterator[str]:
    if account.left:
        yield f"{account.left} files are still in incoming/"
    if account.processed + account.failed != account.arrived:
        yield f"{account.arrived} files arrived, {account.processed} were processed and {account.failed} failed"
    broken = {key_of(file, datasets) for file in files if file.broken}
    found = {one.key for one in account.quarantined}
    for key in sorted(broken - found):
        yield f"{key} is broken and was not quarantined"
    for one in account.quarantined:
        if one.key not in broken:
            yield f"{one.key} is sound and was quarantined: {one.reason}"
        elif not one.reason:
            yield f"{one.key} was quarantined without a reason"
    for name, mine in account.datasets.items():
        if mine.rows_loaded + mine.rows_rejected != mine.rows_in_files:
            loaded = f"{mine.rows_loaded:,} loaded, {mine.rows_rejected:,} rejected"
            yield f"{name}: {mine.rows_in_files:,} rows in files, {loaded}"
        if mine.documents != mine.documents_expected:
            yield f"{name}: {mine.documents:,} documents where {mine.documents_expected:,} were expected"
    filled = {batch.batch.dataset for story in account.runs for batch in story.batches if _any_loaded(batch.arrivals)}
    kicked = {kick_off["dataset"] for kick_off in account.kick_offs}
    for name in sorted(filled - kicked):
        if datasets[name].kick_off is not None:
            yield f"{name} was loaded, and nothing was kicked off for it"
    for story in account.runs:
        if story.run.status != "SUCCEEDED":
            yield f"run {story.run.id} ended as {story.run.status}: {story.error}"


def _any_loaded(arrivals: Sequence[SettledArrival]) -> bool:
    return any(arrival.rows for arrival in arrivals)


def _work(
    deployment: Deployment, datasets: Mapping[str, Dataset], files: Sequence[DemoFile], stories: Sequence[RunStory]
) -> Work:
    calls = billed_calls(deployment.client("logs"), deployment.name)
    ways = Counter(
        {name: (dataset.table is not None) + (dataset.index is not None) for name, dataset in datasets.items()}
    )
    settled = list(_settled(stories))
    batches = sum(len(story.batches) for story in stories)
    beside = sum(2 for arrival in settled if arrival.settlement is Settlement.FAILED)
    return Work(
        files=len(files),
        moved=len(settled),
        opened=sum(ways[file.dataset] for file in files),
        runs=len(stories),
        batches=batches,
        listings=sum(1 for call in calls if call.function == "list_incoming"),
        documents_written=sum(1 for _ in deployment.store.keys(PLANS)) + beside,
        invocations=len(calls),
        gb_seconds=sum(call.gb_seconds for call in calls),
        transitions=sum(story.history.transitions for story in stories),
        kick_offs=sum(len(story.kick_offs) for story in stories),
    )
