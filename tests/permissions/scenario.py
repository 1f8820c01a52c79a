"""A day in small: each function and each machine does its work once; the first step that can't raises StepError."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.permissions.arrivals import AIRPORT, HOUR, OWN, PLANE, people
from tests.permissions.deployed import Deployed
from tests.permissions.grants import Roles

from penstock.adapters.clock import SystemClock
from penstock.adapters.dynamodb_watches import DynamoWatches
from penstock.adapters.opensearch import OpenSearchIndex
from penstock.adapters.opensearch_client import make_client
from penstock.adapters.pipelines import execution_name
from penstock.adapters.stepfunctions import execution_arn
from penstock.flows.plan_of import read_plan
from penstock.flows.retry_failed import Retrying, Wanted
from penstock.flows.start_backfill import start_backfill
from penstock.flows.start_run import Limits
from penstock.local.stack import LocalStack
from penstock.model.dataset_files import load_datasets
from penstock.model.episodes import Watch
from penstock.model.plans import closing_id, summary_key
from penstock.ports import Runs, RunStatus

REPOSITORY = Path(__file__).parents[2]
PARAMETERS = {"KickOffStateMachines": "after-load", "Stream": "provisioned", "Messages": "standard"}
LISTED = timedelta(minutes=2)


class StepError(Exception):
    """A step did not do what it is there for: which, and what was said."""

    def __init__(self, step: str, said: str) -> None:
        super().__init__(f"{step}: {said}")
        self.step = step
        self.said = said


@dataclass(frozen=True, slots=True)
class Recorded:
    """Starts nothing: as if whoever recorded a run had died before starting it."""

    runs: Runs

    def execution_of(self, run: str) -> str:
        return self.runs.execution_of(run)

    def start(self, run: str, batches: int) -> None:
        pass

    def status(self, execution: str) -> RunStatus:
        return self.runs.status(execution)


class Scenario:
    """A day, which can be played again and again."""

    def __init__(self, stack: LocalStack, roles: Roles) -> None:
        self._on = Deployed(stack, roles)
        self._datasets = load_datasets(stack.datasets)
        self._number = 0
        self._began = 0
        self._run = ""
        self._first = ""

    def play(self) -> StepError | None:
        """What failed first, or None. Leaves nothing behind that the next one could find."""
        self._number += 1
        self._began = int(time.time() * 1000)
        try:
            for step in STEPS:
                with self._named(step):
                    STEPS[step](self)
        except StepError as failed:
            return failed
        finally:
            self._on.tidy()
        return None

    # ── the steps ───────────────────────────────────────────────────────────────────────────────────────────────────

    def apply_datasets(self) -> None:
        self._on.invoke("ApplyDatasets", {})

    def pack_messages(self) -> None:
        batch = json.loads((REPOSITORY / "events" / "messages-batch.json").read_text())
        for record in batch["Records"]:
            record["messageId"] += f"-{self._number}"
        if refused := self._on.invoke("PackMessages", batch)["batchItemFailures"]:
            raise ValueError(f"not packed: {refused}")

    def list_arrivals(self) -> None:
        number = self._number
        self._on.sql("ALTER TABLE chained ADD CONSTRAINT unmended CHECK (link <> 'to be mended') NOT VALID")
        self._on.sql("ALTER TABLE people ADD CONSTRAINT unmended CHECK (id > 0) NOT VALID")
        self._on.put(f"chained/{number}-failing.csv", b"link\nto be mended\n")
        self._on.put(f"people/{number}-failing.parquet", people(-number))
        self._on.put(f"lenient/{number}.csv", b"number\n1\nx\n")
        self._on.put(f"people/{number}.parquet", people(number, ["yes", None]))
        self._on.put(f"found/{number}.parquet", people(number))
        self._on.put(f"airports/{number}.csv", AIRPORT % number)
        self._on.put(f"airlines/{number}.csv", b"carrier,name\nAA,American\n", tagging="kept=yes")
        self._on.put(f"weather/{number}.jsonl", HOUR % 6)
        self._on.put(f"weather/{number}-bad.jsonl", HOUR % 99_999)
        self._on.put(f"chained/{number}.csv", b"link\na\n")
        self._on.put(f"noted/{number}.csv", b"note\na\n")
        self._on.put(f"nobodys/{number}.csv", b"a\n1\n")
        listing = self._on.invoke("ListIncoming", {})
        [self._run] = listing["plans"]
        self._first = self._run

    def run(self) -> None:
        self._on.await_execution(self._on.target.runs.execution_of(self._run))
        summary = self._on.target.store.get_json(summary_key(self._run))
        if not summary["ok"]:
            raise ValueError(summary["message"])

    def settle(self) -> None:
        self._on.nothing_left()
        processed = {key.split("/")[1] for key in self._on.target.store.keys("processed/")}
        if processed != {"planes", "airports", "airlines", "weather", *OWN}:
            raise ValueError(f"processed: {sorted(processed)}")
        [airline] = self._on.target.store.keys("processed/airlines/")
        tags = self._on.stack.client("s3").get_object_tagging(Bucket=self._on.stack.bucket, Key=airline)["TagSet"]
        if not tags:
            raise ValueError("its tags did not move with the file")

    def rebuild_views(self) -> None:
        machine = self._on.roles.physical["RebuildViewsStateMachine"]
        self._on.await_execution(execution_arn(machine, execution_name(self._run, "airports")))

    def kick_off_machine(self) -> None:
        self._on.kicked_off(self._run, "chained")

    def kick_off_pipeline(self) -> None:
        if not self._on.target.leases.claim_kick_off(self._run, "weather"):
            return
        raise ValueError("nothing was activated")

    def list_again(self) -> None:
        self._on.invoke("ListIncoming", {})
        self._on.ended(self._run)

    def poll(self) -> None:
        for batch in read_plan(self._on.target.store, self._run).batches:
            self._on.invoke("PollLoad", {"plan": self._run, "batch": batch.number, "handle": "h"})

    def index_again(self) -> None:
        """A function that was given up on goes on, and finds its files where they were settled meanwhile."""
        for batch in read_plan(self._on.target.store, self._run).batches:
            event = {"plan": self._run, "batch": batch.number, "load_ended": True, "step": "index"}
            try:
                self._on.invoke("WorkParquet" if batch.dataset in {"people", "found"} else "IndexBatch", event)
            except ValueError as gone:
                if "PermanentError" not in str(gone) or self._on.logged(self._began):
                    raise

    def settle_again(self) -> None:
        done = {"status": "done"}
        for batch in read_plan(self._on.target.store, self._run).batches:
            event = {"plan": self._run, "batch": batch.number, "warehouse": done, "search": done}
            if self._on.invoke("SettleBatch", event)["put_back"]:
                raise ValueError("what was settled is put back")

    def retry(self) -> None:
        limits = Limits(1000, 2**30, timedelta(hours=1))
        target = self._on.target
        retrying = Retrying(target.store, target.leases, target.runs, SystemClock(), self._datasets, limits)
        for dataset in ("chained", "people"):
            self._on.sql(f"ALTER TABLE {dataset} DROP CONSTRAINT unmended")
            before = len([*target.store.keys(f"processed/{dataset}/")])
            run = retrying.start(Wanted(dataset=dataset), "permissions").run
            self._on.await_execution(target.runs.execution_of(run))
            if len([*target.store.keys(f"processed/{dataset}/")]) != before + 1:
                raise ValueError(f"a file of {dataset} was mended, and is not in processed/")
            if any(key.endswith((".csv", ".parquet")) for key in target.store.keys(f"failed/{dataset}/")):
                raise ValueError(f"a file of {dataset} is in processed/, and still in failed/")

    def interrupt(self) -> None:
        """A run waits for its table, meanwhile others look at what it holds; then it is stopped."""
        self._on.put(f"airports/{self._number}-late.csv", AIRPORT % self._number)
        with self._on.stopped_run("airports") as self._run:
            self._on.invoke("ListIncoming", {})
            self._on.invoke("Reconcile", {})

    def take_over(self) -> None:
        [run] = self._on.invoke("ListIncoming", {})["plans"]
        self._on.await_execution(self._on.target.runs.execution_of(run))
        self._on.nothing_left()

    def close_again(self) -> None:
        """A run is stopped, and what it had begun goes on without it: of its files nobody is told, but by a closing."""
        self._on.put(f"chained/{self._number}-late.csv", b"link\nb\n")
        with self._on.stopped_run("chained") as self._run:
            pass
        here, done = {"plan": self._run, "batch": 0}, {"status": "done"}
        self._on.invoke("BeginLoad", here)
        self._on.invoke("IndexBatch", here)
        self._on.invoke("SettleBatch", {**here, "warehouse": done, "search": done})
        self._on.nothing_left()
        self._on.invoke("ListIncoming", {})  # Ends the run, and records its closing.
        self._on.invoke("ListIncoming", {})
        self._on.await_execution(self._on.target.runs.execution_of(closing_id(self._run, 1)))
        self._on.kicked_off(self._run, "chained")

    def backfill(self) -> None:
        """Whoever asked for it died before starting it: the next listing does."""
        for number in range(3):
            self._on.put(f"planes/{number}.csv", PLANE % number)
        self._on.put(f"people/{self._number}-backfilled.parquet", people(1000 + self._number))
        self._on.put(f"chained/{self._number}-backfilled.csv", b"link\nc\n")
        target, clock = self._on.target, SystemClock()
        lease = target.leases.acquire_listing("permissions", clock.now(), LISTED)
        assert lease
        runs = Recorded(target.runs)
        self._run = start_backfill(target.leases, runs, clock, lease, [], "incoming/", 999, 2**30, 2)
        while target.leases.release_listing(lease):
            continue
        self._on.invoke("ListIncoming", {})
        self._on.await_execution(target.runs.execution_of(self._run))
        self._on.nothing_left()
        self._on.kicked_off(self._run, "chained")

    def close_backfill(self) -> None:
        self._on.invoke("ListIncoming", {})
        self._on.ended(self._run)

    def reconcile(self) -> None:
        """An arrival's documents are gone: what the index has rejected of it is looked up."""
        batches = read_plan(self._on.target.store, self._first).batches
        with make_client(self._on.stack.search_url, "none") as client:
            for one in (one for batch in batches for one in batch.arrivals if batch.dataset == "lenient"):
                OpenSearchIndex(client).delete_arrival("lenient", one.id)
        report = self._on.invoke("Reconcile", {})["report"]
        self._on.target.store.get_json(report)

    def count_events(self) -> None:
        batch = json.loads((REPOSITORY / "events" / "stream-batch.json").read_text())
        for place, record in enumerate(batch["Records"]):
            record["kinesis"]["sequenceNumber"] = str(10 * self._number + place)
        if again := self._on.invoke("ProcessStream", batch)["batchItemFailures"]:
            raise ValueError(f"not counted: {again}")
        where = {"QueueUrl": self._on.target.outputs["StreamDeadLetterQueueUrl"]}
        [letter] = self._on.stack.client("sqs").receive_message(**where)["Messages"]
        self._on.stack.client("sqs").delete_message(**where, ReceiptHandle=letter["ReceiptHandle"])

    def watch_rates(self) -> None:
        """Of a type that nobody sends, as if the last look had been an hour ago."""
        client, table = self._on.stack.client("dynamodb"), self._on.target.outputs["CountsTable"]
        client.delete_item(TableName=table, Key={"pk": {"S": "rate"}, "sk": {"S": "boardings"}})
        DynamoWatches(client, table).write("boardings", Watch(SystemClock().now() - timedelta(hours=1)))
        if (done := self._on.invoke("WatchRate", {}))["told"] != 1:
            raise ValueError(f"an episode was to be told: {done}")

    @contextmanager
    def _named(self, step: str) -> Any:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the step failed on it.
            raise StepError(step, f"{type(error).__name__}: {error}\n{self._on.logged(self._began)}") from None


STEPS: dict[str, Callable[[Scenario], None]] = {
    "the datasets are applied": Scenario.apply_datasets,
    # First what is quick and asks much: most permissions are missed soon.
    "a stream's events are counted, and what is none is put aside": Scenario.count_events,
    "a rate that is low is told": Scenario.watch_rates,
    "a backfill loads what is below a prefix": Scenario.backfill,
    "the next listing ends the backfill": Scenario.close_backfill,
    "others look at what a run holds that is at work": Scenario.interrupt,
    "the next listing takes over what a stopped run held": Scenario.take_over,
    "what a stopped run has settled is announced": Scenario.close_again,
    "messages are packed into a file": Scenario.pack_messages,
    "arrivals are listed and a run is started": Scenario.list_arrivals,
    "the run succeeds and is summed up": Scenario.run,
    "each file is where it belongs, with its tags": Scenario.settle,
    "views are rebuilt": Scenario.rebuild_views,
    "a state machine is kicked off": Scenario.kick_off_machine,
    "a Data Pipeline is activated": Scenario.kick_off_pipeline,
    "the next listing ends the run": Scenario.list_again,
    "a load is polled": Scenario.poll,
    "an indexing outlives its run": Scenario.index_again,
    "a settling is repeated": Scenario.settle_again,
    "a failed file is retried where it lies": Scenario.retry,
    "a reconcile leaves its report": Scenario.reconcile,
}
