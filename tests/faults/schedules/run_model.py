"""A run as the state machine works it: a Map of batches, two branches each, retries, then the settling and the sum.

No interpreter of ingest.asl.yaml (tests/workflow has those): only who calls what, who gives up when, and what is told
to whom. The numbers of retries are read from the definition.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

import yaml
from tests.faults.schedules.scheduler import Scheduler, Task

from penstock.model.errors import PenstockError, TransientError

Step = Callable[..., Any]

_DEFINITION = Path(__file__).parents[3] / "statemachines" / "ingest.asl.yaml"


class Steps(Protocol):
    """The run's functions, each called as a fresh Lambda."""

    def begin_load(self, plan: str, batch: int) -> dict[str, Any]: ...
    def index_batch(self, plan: str, batch: int, *, load_ended: bool = False) -> dict[str, Any]: ...
    def settle_batch(self, plan: str, batch: int, warehouse: Any, search: Any) -> dict[str, Any]: ...
    def summarise_run(self, plan: str) -> dict[str, Any]: ...
    def kick_off(self, plan: str, dataset: str) -> dict[str, Any]: ...


@cache
def retries() -> tuple[int, int]:
    """How often a step is tried again after a transient error, and after its worker crashed."""
    definition = yaml.safe_load(_DEFINITION.read_text())
    transient, crashed, _ = definition["States"]["Sum up the run"]["Retry"]
    assert "TransientError" in transient["ErrorEquals"]
    assert "Lambda.Unknown" in crashed["ErrorEquals"]
    return transient["MaxAttempts"], crashed["MaxAttempts"]


class StepFailedError(Exception):
    """A step failed for good: what a Catch gets."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(error)
        self.outcome = {"status": "failed", "error": error, "cause": cause}


class Run:
    """`tasks` are the run's own; ending them leaves its Lambdas running, as an abort does."""

    def __init__(
        self, scheduler: Scheduler, steps: Steps, plan: str, batches: int, ended: Callable[[str], None]
    ) -> None:
        self._scheduler = scheduler
        self._steps = steps
        self._plan = plan
        self._ended = ended
        self.tasks = [scheduler.spawn("run", lambda: self._work(batches))]

    def abort(self) -> None:
        for task in self.tasks:
            if not task.done:
                self._scheduler.kill(task)

    def _work(self, batches: int) -> None:
        try:
            children = [self._spawn("batch", partial(self._batch, number)) for number in range(batches)]
            self._scheduler.wait(children)
            summary = self._invoke("summarise_run", 300, self._steps.summarise_run, self._plan)
            for wanted in summary["kick_offs"]:
                self._invoke("kick_off", 60, self._steps.kick_off, wanted["plan"], wanted["dataset"])
        except StepFailedError:
            self._ended("FAILED")
        else:
            self._ended("SUCCEEDED" if summary["ok"] else "FAILED")

    def _batch(self, number: int) -> None:
        branches = [
            self._spawn("branch", lambda: self._branch("begin_load", self._steps.begin_load, number)),
            self._spawn("branch", lambda: self._branch("index_batch", self._steps.index_batch, number)),
        ]
        self._scheduler.wait(branches)
        outcomes = [branch.result for branch in branches]
        if outcomes[1]["status"] == "waiting":
            outcomes[1] = self._branch("index_batch", partial(self._steps.index_batch, load_ended=True), number)
        try:
            self._invoke("settle_batch", 900, self._steps.settle_batch, self._plan, number, *outcomes)
        except StepFailedError:
            return  # Caught: the other batches go on, and the summary misses this one.

    def _branch(self, name: str, step: Step, number: int) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._invoke(name, 900, step, self._plan, number)
        except StepFailedError as failed:
            return failed.outcome
        return answer

    def _invoke(self, name: str, lasting: float, step: Step, *given: Any) -> Any:
        """The step's answer, after as many tries as the definition grants."""
        left_transient, left_crashed = retries()
        wait = 2.0
        while True:
            task = self._scheduler.spawn(name, lambda: step(*given), lasting)
            in_time = self._scheduler.wait([task], lasting + 30)
            error = task.error
            if task.done and error is None:
                return task.result
            if task.abandoned or (task.done and isinstance(error, TransientError)):
                left_transient -= 1
                if left_transient < 0:
                    raise StepFailedError("TransientError", str(error))
            elif task.done and isinstance(error, Exception):
                raise StepFailedError(
                    "PermanentError" if isinstance(error, PenstockError) else type(error).__name__, str(error)
                )
            else:
                left_crashed -= 1
                if left_crashed < 0:
                    raise StepFailedError("Lambda.Unknown" if in_time else "States.Timeout", "")
            self._scheduler.sleep(wait)
            wait = min(wait * 2, 60.0)

    def _spawn(self, name: str, work: Callable[[], Any]) -> Task:
        task = self._scheduler.spawn(name, work)
        self.tasks.append(task)
        return task
