"""Runs of the state machines, each an execution that is named by its plan; a closing by a number too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from penstock.adapters.aws_errors import code_of, of_client_error, translated
from penstock.model.backfills import is_backfill
from penstock.model.errors import PermanentError
from penstock.model.plans import plan_of_run
from penstock.ports import RunStatus

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class StepFunctionsRuns:
    """`state_machine_arn` is the ingest machine's, `backfill_arn` that of backfills."""

    def __init__(self, client: SFNClient, state_machine_arn: str, backfill_arn: str = "") -> None:
        self._client = client
        self._machine = state_machine_arn
        self._backfill = backfill_arn

    def execution_of(self, run: str) -> str:
        return execution_arn(self._machine_of(run), run)

    def start(self, run: str, batches: int) -> None:
        plan = plan_of_run(run)[0]
        body = {"plan": plan, "part": 0} if is_backfill(run) else {"plan": plan, "batches": list(range(batches))}
        machine = self._machine_of(run)
        with translated(f"start the execution {run} of {machine}"):
            try:
                self._client.start_execution(stateMachineArn=machine, name=run, input=json.dumps(body))
            except ClientError as error:
                # One that runs with this input is answered with 200; this is one that is over. Either was started.
                if code_of(error) != "ExecutionAlreadyExists":
                    raise

    def _machine_of(self, run: str) -> str:
        if not is_backfill(run):
            return self._machine
        if not self._backfill:
            raise PermanentError(
                f"{run} is a backfill, and the stack has no machine for one: deploy this version of it"
            )
        return self._backfill

    def status(self, execution: str) -> RunStatus:
        doing = f"look at the execution {execution}"
        with translated(doing):
            try:
                found = self._client.describe_execution(executionArn=execution)["status"]
            except ClientError as error:
                if code_of(error) == "ExecutionDoesNotExist":
                    return RunStatus.MISSING
                raise of_client_error(error, doing) from error
        # PENDING_REDRIVE is an execution that will run again: its leases hold.
        return RunStatus.RUNNING if found == "PENDING_REDRIVE" else RunStatus(found)


def execution_arn(state_machine: str, name: str) -> str:
    """`arn:…:stateMachine:ingest`, or a version of it (`…:ingest:7`), and `p1` become `arn:…:execution:ingest:p1`."""
    unqualified = ":".join(state_machine.split(":")[:7])
    return f"{unqualified.replace(':stateMachine:', ':execution:', 1)}:{name}"
