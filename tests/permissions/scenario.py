"""A day in small: each function and each machine does its work once; the first step that can't raises StepError."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from tests.permissions.grants import Roles

from penstock.adapters.clock import SystemClock
from penstock.adapters.dynamodb_watches import DynamoWatches
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
from penstock.model.plans import summary_key
from penstock.ports import Runs, RunStatus

REPOSITORY = Path(__file__).parents[2]
DATASETS = REPOSITORY / "datasets"
CHAINED = """\
name: chained
prefix: chained/
format: csv
columns: [{name: link, type: text}]
table: public.chained
kick_off: {state_machine: after-load}
"""
NOTED = """\
name: noted
prefix: noted/
format: csv
columns: [{name: note, type: text}]
index: noted
"""
LENIENT = """\
name: lenient
prefix: lenient/
format: csv
columns: [{name: number, type: integer}]
table: public.lenient
index: lenient
max_reject_ratio: 0.6
"""
RATE = """\
name: boardings
type: boarding
window: 1m
at_least: 1
"""
PARAMETERS = {"KickOffStateMachines": "after-load", "Stream": "provisioned"}
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
    """The repository's own, one that kicks off a state machine, one without a table, one that takes rejects, a rate."""
    shutil.copytree(DATASETS, folder)
    (folder / "chained.yaml").write_text(CHAINED)
    (folder / "noted.yaml").write_text(NOTED)
    (folder / "lenient.yaml").write_text(LENIENT)
    (folder / "rates").mkdir(exist_ok=True)
    (folder / "rates" / "boardings.yaml").write_text(RATE)
    return folder


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

    def list_arrivals(self) -> None:
        number = self._number
        self._sql("ALTER TABLE chained ADD CONSTRAINT unmended CHECK (link <> 'to be mended') NOT VALID")
        self._put(f"chained/{number}-failing.csv", b"link\nto be mended\n")
        self._put(f"lenient/{number}.csv", b"number\n1\nx\n")
        self._put(f"airports/{number}.csv", AIRPORT % number)
        self._put(f"airlines/{number}.csv", b"carrier,name\nAA,American\n", tagging="kept=yes")
        self._put(f"weather/{number}.jsonl", HOUR % 6)
        self._put(f"weather/{number}-bad.jsonl", HOUR % 99_999)
        self._put(f"chained/{number}.csv", b"link\na\n")
        self._put(f"noted/{number}.csv", b"note\na\n")
        self._put(f"nobodys/{number}.csv", b"a\n1\n")
        listing = self._invoke("ListIncoming", {})
        [self._run] = listing["plans"]

    def run(self) -> None:
        self._await_execution(self._target.runs.execution_of(self._run))
        summary = self._target.store.get_json(summary_key(self._run))
        if not summary["ok"]:
            raise ValueError(summary["message"])

    def settle(self) -> None:
        self._nothing_left()
        processed = {key.split("/")[1] for key in self._target.store.keys("processed/")}
        if processed != {"airports", "airlines", "weather", "chained", "noted", "lenient"}:
            raise ValueError(f"processed: {sorted(processed)}")
        [airline] = self._target.store.keys("processed/airlines/")
        tags = self._stack.client("s3").get_object_tagging(Bucket=self._stack.bucket, Key=airline)["TagSet"]
        if not tags:
            raise ValueError("its tags did not move with the file")

    def rebuild_views(self) -> None:
        machine = self._roles.physical["RebuildViewsStateMachine"]
        self._await_execution(execution_arn(machine, execution_name(self._run, "airports")))

    def kick_off_machine(self) -> None:
        machine = self._target.machine.rpartition(":")[0] + ":after-load"
        self._await_execution(execution_arn(machine, execution_name(self._run, "chained")))

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

    def settle_again(self) -> None:
        done = {"status": "done"}
        for batch in read_plan(self._target.store, self._run).batches:
            event = {"plan": self._run, "batch": batch.number, "warehouse": done, "search": done}
            if self._invoke("SettleBatch", event)["put_back"]:
                raise ValueError("what was settled is put back")

    def retry(self) -> None:
        self._sql("ALTER TABLE chained DROP CONSTRAINT unmended")
        limits = Limits(1000, 2**30, timedelta(hours=1))
        target = self._target
        retrying = Retrying(target.store, target.leases, target.runs, SystemClock(), self._datasets, limits)
        run = retrying.start(Wanted(dataset="chained"), "permissions").run
        self._await_execution(target.runs.execution_of(run))
        if len([*target.store.keys("processed/chained/")]) != 2:
            raise ValueError("it was mended, and is not in processed/")
        if any(key.endswith(".csv") for key in target.store.keys("failed/chained/")):
            raise ValueError("it is in processed/, and still in failed/")

    def interrupt(self) -> None:
        """A run waits for its table, meanwhile others look at what it holds; then it is stopped."""
        self._put(f"airports/{self._number}-late.csv", AIRPORT % self._number)
        with psycopg.connect(self._stack.warehouse_dsn("owner")) as connection:
            connection.execute("LOCK TABLE airports IN EXCLUSIVE MODE")  # Readers are let in.
            [self._run] = self._invoke("ListIncoming", {})["plans"]
            execution = self._target.runs.execution_of(self._run)
            self._invoke("ListIncoming", {})
            self._invoke("Reconcile", {})
            self._stack.client("stepfunctions").stop_execution(executionArn=execution)

    def take_over(self) -> None:
        [run] = self._invoke("ListIncoming", {})["plans"]
        self._await_execution(self._target.runs.execution_of(run))
        self._nothing_left()

    def backfill(self) -> None:
        """Whoever asked for it died before starting it: the next listing does."""
        for number in range(3):
            self._put(f"planes/{number}.csv", PLANE % number)
        target, clock = self._target, SystemClock()
        lease = target.leases.acquire_listing("permissions", clock.now(), LISTED)
        assert lease
        runs = Recorded(target.runs)
        self._run = start_backfill(target.leases, runs, clock, lease, [], "incoming/planes/", 999, 2**30, 2)
        while target.leases.release_listing(lease):
            continue
        self._invoke("ListIncoming", {})
        self._await_execution(target.runs.execution_of(self._run))
        self._nothing_left()

    def close_backfill(self) -> None:
        self._invoke("ListIncoming", {})
        self._ended(self._run)

    def reconcile(self) -> None:
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
        self._sql("ALTER TABLE chained DROP CONSTRAINT IF EXISTS unmended")
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
    "arrivals are listed and a run is started": Scenario.list_arrivals,
    "the run succeeds and is summed up": Scenario.run,
    "each file is where it belongs, with its tags": Scenario.settle,
    "views are rebuilt": Scenario.rebuild_views,
    "a state machine is kicked off": Scenario.kick_off_machine,
    "a Data Pipeline is activated": Scenario.kick_off_pipeline,
    "the next listing ends the run": Scenario.list_again,
    "a load is polled": Scenario.poll,
    "a settling is repeated": Scenario.settle_again,
    "a failed file is retried where it lies": Scenario.retry,
    "others look at what a run holds that is at work": Scenario.interrupt,
    "the next listing takes over what a stopped run held": Scenario.take_over,
    "a backfill loads what is below a prefix": Scenario.backfill,
    "the next listing ends the backfill": Scenario.close_backfill,
    "a reconcile leaves its report": Scenario.reconcile,
    "a stream's events are counted, and what is none is put aside": Scenario.count_events,
    "a rate that is low is told": Scenario.watch_rates,
}
