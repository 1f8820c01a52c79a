"""A deployed stack in the hands of a scenario: it calls the functions, waits for executions, looks, and tidies up."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from botocore.exceptions import ClientError
from tests.permissions.grants import Roles

from penstock.adapters.pipelines import execution_name
from penstock.adapters.stepfunctions import execution_arn
from penstock.local.deployment import local_deployment
from penstock.local.stack import LocalStack

PATIENCE = 60


class Deployed:
    """A stack whose functions are called one after the other: no event may start anything beside it."""

    def __init__(self, stack: LocalStack, roles: Roles) -> None:
        self.stack = stack
        self.roles = roles
        self.target = local_deployment(stack)
        self._hush()

    def _hush(self) -> None:
        """No arrival, tick or end of a run starts a listing: the scenario does."""
        functions = self.stack.client("lambda")
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        passing = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
        role = self.stack.client("iam").get_role(RoleName=self.roles.names["KickOff"])["Role"]["Arn"]
        self.stack.client("stepfunctions").create_state_machine(name="after-load", definition=passing, roleArn=role)

    def invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        answer = self.stack.client("lambda").invoke(
            FunctionName=self.roles.physical[function], Payload=json.dumps(event)
        )
        payload: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise ValueError(f"{function} raised {payload.get('errorType')}: {payload.get('errorMessage')}")
        return payload

    def kicked_off(self, run: str, dataset: str) -> None:
        machine = self.target.machine.rpartition(":")[0] + ":after-load"
        self.await_execution(execution_arn(machine, execution_name(run, dataset)))

    @contextmanager
    def stopped_run(self, table: str) -> Iterator[str]:
        """A run of what is in incoming/, which waits for the table meanwhile, and is stopped then."""
        with psycopg.connect(self.stack.warehouse_dsn("owner")) as connection:
            connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")  # Readers are let in.
            [run] = self.invoke("ListIncoming", {})["plans"]
            yield run
            execution = self.target.runs.execution_of(run)
            self.stack.client("stepfunctions").stop_execution(executionArn=execution)

    def sql(self, statement: str) -> None:
        with psycopg.connect(self.stack.warehouse_dsn("owner")) as connection:
            connection.execute(statement)

    def put(self, name: str, body: bytes, tagging: str = "") -> None:
        key = f"incoming/{name}"
        self.stack.client("s3").put_object(Bucket=self.stack.bucket, Key=key, Body=body, Tagging=tagging)

    def await_execution(self, execution: str) -> None:
        machines = self.stack.client("stepfunctions")
        deadline = time.monotonic() + PATIENCE
        while (found := machines.describe_execution(executionArn=execution))["status"] == "RUNNING":
            if time.monotonic() > deadline:
                raise ValueError(f"{execution} is still at work after {PATIENCE} s")
            time.sleep(0.02)  # Step Functions tells nobody here that an execution has ended.
        if found["status"] != "SUCCEEDED":
            raise ValueError(f"{found['status']}: {found.get('error')}: {found.get('cause')}")

    def ended(self, run: str) -> None:
        if any(live.id == run for live in self.target.leases.live_runs()):
            raise ValueError(f"{run} is over and was not ended")

    def nothing_left(self) -> None:
        if left := [*self.target.store.keys("incoming/")]:
            raise ValueError(f"left in incoming/: {left}")

    def logged(self, since: int) -> str:
        """What functions logged as refused since then, in milliseconds."""
        logs, lines = self.stack.client("logs"), []
        for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]:
            events = logs.filter_log_events(logGroupName=group["logGroupName"], startTime=since)["events"]
            lines += [event["message"] for event in events if "AccessDenied" in event["message"]]
        return "\n".join(lines)

    def tidy(self) -> None:
        for table in ("chained", "people"):
            self.sql(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS unmended")
        machines = self.stack.client("stepfunctions")
        for machine in (self.target.machine, self.target.outputs["BackfillStateMachineArn"]):
            for one in machines.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]:
                with suppress(ClientError):  # It may have ended since; AWS would not mind.
                    machines.stop_execution(executionArn=one["executionArn"])
        s3, bucket = self.stack.client("s3"), self.stack.bucket
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            named = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
            if named:
                s3.delete_objects(Bucket=bucket, Delete={"Objects": named})
        table, items = self.target.outputs["LeaseTable"], self.stack.client("dynamodb")
        for item in items.scan(TableName=table)["Items"]:
            items.delete_item(TableName=table, Key={name: item[name] for name in ("pk", "sk")})
