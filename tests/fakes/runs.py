from __future__ import annotations

from penstock.adapters.stepfunctions import execution_arn
from penstock.model.backfills import is_backfill
from penstock.ports import RunStatus

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:ingest"
BACKFILL = "arn:aws:states:us-east-1:000000000000:stateMachine:backfill"


class FakeRuns:
    """Executions that go on until `finish` ends them."""

    def __init__(self, machine: str = MACHINE) -> None:
        self._machine = machine
        self.executions: dict[str, RunStatus] = {}
        self.started: list[tuple[str, int]] = []

    def execution_of(self, run: str) -> str:
        return execution_arn(BACKFILL if is_backfill(run) else self._machine, run)

    def start(self, run: str, batches: int) -> None:
        if self.execution_of(run) not in self.executions:
            self.executions[self.execution_of(run)] = RunStatus.RUNNING
            self.started.append((run, batches))

    def status(self, execution: str) -> RunStatus:
        return self.executions.get(execution, RunStatus.MISSING)

    def finish(self, plan: str, status: RunStatus = RunStatus.SUCCEEDED) -> None:
        self.executions[self.execution_of(plan)] = status
