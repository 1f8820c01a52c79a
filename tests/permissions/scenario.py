"""A day in small: each function and each machine does its work once; the first step that can't raises StepError."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
from tests.corpus.parquet_files import written
from tests.permissions.grants import Roles

from penstock.adapters.clock import SystemClock
from penstock.adapters.dynamodb_watches import DynamoWatches
from penstock.adapters.opensearch import OpenSearchIndex
from penstock.adapters.opensearch_client import make_client
from penstock.adapters.pipelines import execution_name
from penstock.adapters.stepfunctions import execution_arn
from penstock.flows.list_incoming import Limits
from penstock.flows.plan_of import read_plan
from penstock.flows.retry_failed import Retrying, Wanted
from penstock.flows.start_backfill import start_backfill
from penstock.local.deployment import local_deployment
from penstock.local.stack import LocalStack
from penstock.model.dataset_files import load_datasets
from penstock.model.episodes import Watch
from penstock.model.plans import closing_id, summary_key
from penstock.ports import Runs, RunStatus

REPOSITORY = Path(__file__).parents[2]
DATASETS = REPOSITORY / "datasets"
OWN = {
    "chained": """
format: csv
columns: [{name: link, type: text}]
table: public.chained
index: chained
kick_off: {state_machine: after-load}
""",
    "noted": """
format: csv
columns: [{name: note, type: text}]
index: noted
""",
    "lenient": """
format: csv
columns: [{name: number, type: integer}]
table: public.lenient
index: lenient
max_reject_ratio: 0.6
""",
    "people": """
format: parquet
columns: [{name: id, type: integer}, {name: born, type: date}]
table: public.people
index: people
max_reject_ratio: 0.6
""",
    "found": """
format: parquet
columns: [{name: id, type: integer}, {name: born, type: date}]
index: found
""",
    "messages": """
format: jsonl
columns: [{name: event_id, type: text, required: true}, {name: type, type: text}]
table: public.messages
event_id: event_id
""",
}
"""One that kicks off a state machine; without a table, with rejects, both of Parquet files; what messages become."""
RATE = """\
name: boardings
type: boarding
window: 1m
at_least: 1
"""
PARAMETERS = {"KickOffStateMachines": "after-load", "Stream": "provisioned", "Messages": "standard"}
PATIENCE = 60
LISTED = timedelta(minutes=2)

AIRPORT = b"faa,name,lat,lon,alt,tz,dst,tzone\nABC,%d,1.5,2.5,3,-5,A,Europe/Rome\n"
PLANE = b"tailnum,year,type,manufacturer,model,engines,seats,speed,engine\nN%d,2004,a,b,c,2,55,NA,d\n"
HOUR = b'{"origin":"EWR","year":2013,"month":1,"day":1,"hour":%d,"time_hour":"2013-01-01T06:00:00Z"}\n'


class StepError(Exception):
    """A step did not do what it is there for: which, and what was said."""

    def __init__(self, step: str, said: str) -> None:
        super().__init__(f"{step}: {said}")
        self.step = step
        self.said = said


def write_datasets(folder: Path) -> Path:
    """The repository's own, those above, and a rate."""
    shutil.copytree(DATASETS, folder)
    for name, body in OWN.items():
        (folder / f"{name}.yaml").write_text(f"name: {name}\nprefix: {name}/{body}")
    (folder / "rates").mkdir(exist_ok=True)
    (folder / "rates" / "boardings.yaml").write_text(RATE)
    return folder


def people(first: int, born: list[str | None] | None = None) -> bytes:
    """A Parquet file of two rows."""
    ids = pa.array([first, first + 1], pa.int32())
    return written({"id": ids, "born": born or pa.array([None, None], pa.date32())})


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
    """Calls the functions itself, one after the other: no event may start anything beside it."""

    def __init__(self, stack: LocalStack, roles: Roles) -> None:
        self._stack = stack
        self._target = local_deployment(stack)
        self._roles = roles
        self._datasets = load_datasets(stack.datasets)
        self._number = 0
        self._began = 0
        self._run = ""
        self._first = ""
        self._hush()

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
            self._tidy()
        return None

    # ── the steps ───────────────────────────────────────────────────────────────────────────────────────────────────

    def apply_datasets(self) -> None:
        self._invoke("ApplyDatasets", {})

    def pack_messages(self) -> None:
        batch = json.loads((REPOSITORY / "events" / "messages-batch.json").read_text())
        for record in batch["Records"]:
            record["messageId"] += f"-{self._number}"
        if refused := self._invoke("PackMessages", batch)["batchItemFailures"]:
            raise ValueError(f"not packed: {refused}")

    def list_arrivals(self) -> None:
        number = self._number
        self._sql("ALTER TABLE chained ADD CONSTRAINT unmended CHECK (link <> 'to be mended') NOT VALID")
        self._sql("ALTER TABLE people ADD CONSTRAINT unmended CHECK (id > 0) NOT VALID")
        self._put(f"chained/{number}-failing.csv", b"link\nto be mended\n")
        self._put(f"people/{number}-failing.parquet", people(-number))
        self._put(f"lenient/{number}.csv", b"number\n1\nx\n")
        self._put(f"people/{number}.parquet", people(number, ["yes", None]))
        self._put(f"found/{number}.parquet", people(number))
        self._put(f"airports/{number}.csv", AIRPORT % number)
        self._put(f"airlines/{number}.csv", b"carrier,name\nAA,American\n", tagging="kept=yes")
        self._put(f"weather/{number}.jsonl", HOUR % 6)
        self._put(f"weather/{number}-bad.jsonl", HOUR % 99_999)
        self._put(f"chained/{number}.csv", b"link\na\n")
        self._put(f"noted/{number}.csv", b"note\na\n")
        self._put(f"nobodys/{number}.csv", b"a\n1\n")
        listing = self._invoke("ListIncoming", {})
        [self._run] = listing["plans"]
        self._first = self._run

    def run(self) -> None:
        self._await_execution(self._target.runs.execution_of(self._run))
        summary = self._target.store.get_json(summary_key(self._run))
        if not summary["ok"]:
            raise ValueError(summary["message"])

    def settle(self) -> None:
        self._nothing_left()
        processed = {key.split("/")[1] for key in self._target.store.keys("processed/")}
        if processed != {"planes", "airports", "airlines", "weather", *OWN}:
            raise ValueError(f"processed: {sorted(processed)}")
        [airline] = self._target.store.keys("processed/airlines/")
        tags = self._stack.client("s3").get_object_tagging(Bucket=self._stack.bucket, Key=airline)["TagSet"]
        if not tags:
            raise ValueError("its tags did not move with the file")

    def rebuild_views(self) -> None:
        machine = self._roles.physical["RebuildViewsStateMachine"]
        self._await_execution(execution_arn(machine, execution_name(self._run, "airports")))

    def kick_off_machine(self) -> None:
        self._kicked_off("chained")

    def kick_off_pipeline(self) -> None:
        if not self._target.leases.claim_kick_off(self._run, "weather"):
            return
        raise ValueError("nothing was activated")

    def list_again(self) -> None:
        self._invoke("ListIncoming", {})
        self._ended(self._run)

    def poll(self) -> None:
        for batch in read_plan(self._target.store, self._run).batches:
            self._invoke("PollLoad", {"plan": self._run, "batch": batch.number, "handle": "h"})

    def index_again(self) -> None:
        """A function that was given up on goes on, and finds its files where they were settled meanwhile."""
        for batch in read_plan(self._target.store, self._run).batches:
            event = {"plan": self._run, "batch": batch.number, "load_ended": True, "step": "index"}
            try:
                self._invoke("WorkParquet" if batch.dataset in {"people", "found"} else "IndexBatch", event)
            except ValueError as gone:
                if "PermanentError" not in str(gone) or self._logged():
                    raise

    def settle_again(self) -> None:
        done = {"status": "done"}
        for batch in read_plan(self._target.store, self._run).batches:
            event = {"plan": self._run, "batch": batch.number, "warehouse": done, "search": done}
            if self._invoke("SettleBatch", event)["put_back"]:
                raise ValueError("what was settled is put back")

    def retry(self) -> None:
        limits = Limits(1000, 2**30, timedelta(hours=1))
        target = self._target
        retrying = Retrying(target.store, target.leases, target.runs, SystemClock(), self._datasets, limits)
        for dataset in ("chained", "people"):
            self._sql(f"ALTER TABLE {dataset} DROP CONSTRAINT unmended")
            before = len([*target.store.keys(f"processed/{dataset}/")])
            run = retrying.start(Wanted(dataset=dataset), "permissions").run
            self._await_execution(target.runs.execution_of(run))
            if len([*target.store.keys(f"processed/{dataset}/")]) != before + 1:
                raise ValueError(f"a file of {dataset} was mended, and is not in processed/")
            if any(key.endswith((".csv", ".parquet")) for key in target.store.keys(f"failed/{dataset}/")):
                raise ValueError(f"a file of {dataset} is in processed/, and still in failed/")

    def interrupt(self) -> None:
        """A run waits for its table, meanwhile others look at what it holds; then it is stopped."""
        self._put(f"airports/{self._number}-late.csv", AIRPORT % self._number)
        with self._stopped_run("airports"):
            self._invoke("ListIncoming", {})
            self._invoke("Reconcile", {})

    def take_over(self) -> None:
        [run] = self._invoke("ListIncoming", {})["plans"]
        self._await_execution(self._target.runs.execution_of(run))
        self._nothing_left()

    def close_again(self) -> None:
        """A run is stopped, and what it had begun goes on without it: of its files nobody is told, but by a closing."""
        self._put(f"chained/{self._number}-late.csv", b"link\nb\n")
        with self._stopped_run("chained"):
            pass
        here, done = {"plan": self._run, "batch": 0}, {"status": "done"}
        self._invoke("BeginLoad", here)
        self._invoke("IndexBatch", here)
        self._invoke("SettleBatch", {**here, "warehouse": done, "search": done})
        self._nothing_left()
        self._invoke("ListIncoming", {})  # Ends the run, and records its closing.
        self._invoke("ListIncoming", {})
        self._await_execution(self._target.runs.execution_of(closing_id(self._run, 1)))
        self._kicked_off("chained")

    def backfill(self) -> None:
        """Whoever asked for it died before starting it: the next listing does."""
        for number in range(3):
            self._put(f"planes/{number}.csv", PLANE % number)
        self._put(f"people/{self._number}-backfilled.parquet", people(1000 + self._number))
        self._put(f"chained/{self._number}-backfilled.csv", b"link\nc\n")
        target, clock = self._target, SystemClock()
        lease = target.leases.acquire_listing("permissions", clock.now(), LISTED)
        assert lease
        runs = Recorded(target.runs)
        self._run = start_backfill(target.leases, runs, clock, lease, [], "incoming/", 999, 2**30, 2)
        while target.leases.release_listing(lease):
            continue
        self._invoke("ListIncoming", {})
        self._await_execution(target.runs.execution_of(self._run))
        self._nothing_left()
        self._kicked_off("chained")

    def close_backfill(self) -> None:
        self._invoke("ListIncoming", {})
        self._ended(self._run)

    def reconcile(self) -> None:
        """An arrival's documents are gone: what the index has rejected of it is looked up."""
        batches = read_plan(self._target.store, self._first).batches
        with make_client(self._stack.search_url, "none") as client:
            for one in (one for batch in batches for one in batch.arrivals if batch.dataset == "lenient"):
                OpenSearchIndex(client).delete_arrival("lenient", one.id)
        report = self._invoke("Reconcile", {})["report"]
        self._target.store.get_json(report)

    def count_events(self) -> None:
        batch = json.loads((REPOSITORY / "events" / "stream-batch.json").read_text())
        for place, record in enumerate(batch["Records"]):
            record["kinesis"]["sequenceNumber"] = str(10 * self._number + place)
        if again := self._invoke("ProcessStream", batch)["batchItemFailures"]:
            raise ValueError(f"not counted: {again}")
        where = {"QueueUrl": self._target.outputs["StreamDeadLetterQueueUrl"]}
        [letter] = self._stack.client("sqs").receive_message(**where)["Messages"]
        self._stack.client("sqs").delete_message(**where, ReceiptHandle=letter["ReceiptHandle"])

    def watch_rates(self) -> None:
        """Of a type that nobody sends, as if the last look had been an hour ago."""
        client, table = self._stack.client("dynamodb"), self._target.outputs["CountsTable"]
        client.delete_item(TableName=table, Key={"pk": {"S": "rate"}, "sk": {"S": "boardings"}})
        DynamoWatches(client, table).write("boardings", Watch(SystemClock().now() - timedelta(hours=1)))
        if (done := self._invoke("WatchRate", {}))["told"] != 1:
            raise ValueError(f"an episode was to be told: {done}")

    # ── how ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _hush(self) -> None:
        """No arrival, tick or end of a run starts a listing: the scenario does."""
        functions = self._stack.client("lambda")
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        passing = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
        role = self._stack.client("iam").get_role(RoleName=self._roles.names["KickOff"])["Role"]["Arn"]
        self._stack.client("stepfunctions").create_state_machine(name="after-load", definition=passing, roleArn=role)

    @contextmanager
    def _named(self, step: str) -> Any:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the step failed on it.
            raise StepError(step, f"{type(error).__name__}: {error}\n{self._logged()}") from None

    def _invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        answer = self._stack.client("lambda").invoke(
            FunctionName=self._roles.physical[function], Payload=json.dumps(event)
        )
        payload: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise ValueError(f"{function} raised {payload.get('errorType')}: {payload.get('errorMessage')}")
        return payload

    def _kicked_off(self, dataset: str) -> None:
        machine = self._target.machine.rpartition(":")[0] + ":after-load"
        self._await_execution(execution_arn(machine, execution_name(self._run, dataset)))

    @contextmanager
    def _stopped_run(self, table: str) -> Iterator[None]:
        """A run of what is in incoming/, which waits for the table meanwhile, and is stopped then."""
        with psycopg.connect(self._stack.warehouse_dsn("owner")) as connection:
            connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")  # Readers are let in.
            [self._run] = self._invoke("ListIncoming", {})["plans"]
            yield
            execution = self._target.runs.execution_of(self._run)
            self._stack.client("stepfunctions").stop_execution(executionArn=execution)

    def _sql(self, statement: str) -> None:
        with psycopg.connect(self._stack.warehouse_dsn("owner")) as connection:
            connection.execute(statement)

    def _put(self, name: str, body: bytes, tagging: str = "") -> None:
        key = f"incoming/{name}"
        self._stack.client("s3").put_object(Bucket=self._stack.bucket, Key=key, Body=body, Tagging=tagging)

    def _await_execution(self, execution: str) -> None:
        machines = self._stack.client("stepfunctions")
        deadline = time.monotonic() + PATIENCE
        while (found := machines.describe_execution(executionArn=execution))["status"] == "RUNNING":
            if time.monotonic() > deadline:
                raise ValueError(f"{execution} is still at work after {PATIENCE} s")
            time.sleep(0.02)
        if found["status"] != "SUCCEEDED":
            raise ValueError(f"{found['status']}: {found.get('error')}: {found.get('cause')}")

    def _ended(self, run: str) -> None:
        if any(live.id == run for live in self._target.leases.live_runs()):
            raise ValueError(f"{run} is over and was not ended")

    def _nothing_left(self) -> None:
        if left := [*self._target.store.keys("incoming/")]:
            raise ValueError(f"left in incoming/: {left}")

    def _logged(self) -> str:
        """What functions logged as refused since the scenario began."""
        logs, lines = self._stack.client("logs"), []
        for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]:
            events = logs.filter_log_events(logGroupName=group["logGroupName"], startTime=self._began)["events"]
            lines += [event["message"] for event in events if "AccessDenied" in event["message"]]
        return "\n".join(lines)

    def _tidy(self) -> None:
        for table in ("chained", "people"):
            self._sql(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS unmended")
        machines = self._stack.client("stepfunctions")
        for machine in (self._target.machine, self._target.outputs["BackfillStateMachineArn"]):
            for one in machines.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]:
                machines.stop_execution(executionArn=one["executionArn"])
        s3, bucket = self._stack.client("s3"), self._stack.bucket
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            named = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
            if named:
                s3.delete_objects(Bucket=bucket, Delete={"Objects": named})
        table, items = self._target.outputs["LeaseTable"], self._stack.client("dynamodb")
        for item in items.scan(TableName=table)["Items"]:
            items.delete_item(TableName=table, Key={name: item[name] for name in ("pk", "sk")})


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
