"""MiniStack's Step Functions, started for the workflow tests: `python embedded_engine.py`, all else by environment.

Four things of it are brought in line with Step Functions before it serves, because the tests ask about them. Nothing
of the language itself is touched: paths, choices, retriers, catchers, Map and Parallel are the engine's own.

- A mocked answer is taken for each attempt. MiniStack takes one for each visit of a state, and repeats its error at
  every retry, so that "fails twice, then succeeds" can't be said. Step Functions Local keeps one counter for a state
  and an execution, and advances it with each attempt (seen on its 2.0.0: floci-io/floci issue 3254).
- Each branch of a Parallel has a context of its own. MiniStack's share one, so a mock could be looked up by the name of
  the state that the other branch was just entering.
- States inside Map and Parallel enter the history, each with its input.
- Every event names the one before it in its branch (`previousEventId`), and a scheduled task its parameters.
"""

from __future__ import annotations

import json
import threading
from contextvars import ContextVar
from typing import Any

from ministack.services import stepfunctions as engine

_lock = threading.Lock()
_previous: ContextVar[int] = ContextVar("previous", default=0)
_execution: ContextVar[dict[str, Any] | None] = ContextVar("execution", default=None)
_task: ContextVar[tuple[dict[str, Any], str, str] | None] = ContextVar("task", default=None)
"""The execution, its machine's name and the state whose task is being invoked."""

_original = {
    name: getattr(engine, name)
    for name in (
        "_add_event", "_execute_choice", "_execute_map", "_execute_parallel", "_execute_pass", "_execute_task",
        "_execute_wait", "_get_mock_response", "_invoke_resource", "_run_sub_machine",
    )
}  # fmt: skip


def _add_event(execution: dict[str, Any], kind: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    with _lock:
        event: dict[str, Any] = _original["_add_event"](execution, kind, details)
    event["previousEventId"] = _previous.get()
    _previous.set(event["id"])
    return event


def _invoke_resource(resource: str, given: Any) -> Any:
    task = _task.get()
    if task is None:
        return _original["_invoke_resource"](resource, given)
    execution, machine, state = task
    with _lock:
        scheduled = next(e for e in reversed(execution["events"]) if e["id"] == _previous.get())
        scheduled["taskScheduledEventDetails"]["parameters"] = json.dumps(given)
        attempt = execution["mockAttempts"].get(state, 0)
        execution["mockAttempts"][state] = attempt + 1
    mock = _original["_get_mock_response"](machine, execution.get("testCase", ""), state, attempt)
    if mock is None:
        # Not the resource itself: these tests never mean to reach one, and it might "succeed" by doing nothing.
        raise engine._ExecutionError("States.Runtime", f"no mocked response for attempt {attempt} of {state!r}")
    if "Throw" in mock:
        raise engine._ExecutionError(mock["Throw"]["Error"], mock["Throw"]["Cause"])
    return mock["Return"]


def _execute_task(definition: dict[str, Any], given: Any, execution: dict[str, Any], ctx: dict[str, Any]) -> Any:
    _task.set((execution, ctx["StateMachine"]["Name"], ctx["State"]["Name"]))
    _entered(definition, given, ctx)
    answer = _original["_execute_task"](definition, given, execution, ctx)
    _exited(definition, answer[0], ctx)
    return answer


def _run_sub_machine(
    states: dict[str, Any], start: str, given: Any, execution: dict[str, Any], ctx: dict[str, Any]
) -> Any:
    _execution.set(execution)
    return _original["_run_sub_machine"](states, start, given, execution, {**ctx})


def _with_history(name: str) -> Any:
    def execute(definition: dict[str, Any], given: Any, *rest: Any) -> Any:
        ctx = rest[-1]
        _entered(definition, given, ctx)
        answer = _original[name](definition, given, *rest)
        _exited(definition, answer[0], ctx)
        return answer

    return execute


def _entered(definition: dict[str, Any], given: Any, ctx: dict[str, Any]) -> None:
    # Outside Map and Parallel the engine writes these two events itself.
    if (execution := _execution.get()) is not None:
        details = {"name": ctx["State"]["Name"], "input": json.dumps(given)}
        _add_event(execution, f"{definition['Type']}StateEntered", {"stateEnteredEventDetails": details})


def _exited(definition: dict[str, Any], output: Any, ctx: dict[str, Any]) -> None:
    if (execution := _execution.get()) is not None:
        details = {"name": ctx["State"]["Name"], "output": json.dumps(output)}
        _add_event(execution, f"{definition['Type']}StateExited", {"stateExitedEventDetails": details})


def main() -> None:
    engine._add_event = _add_event
    engine._get_mock_response = lambda *_: None  # Asked by `_invoke_resource` above, at each attempt.
    engine._invoke_resource = _invoke_resource
    engine._run_sub_machine = _run_sub_machine
    engine._execute_task = _execute_task
    for name in ("_execute_choice", "_execute_map", "_execute_parallel", "_execute_pass", "_execute_wait"):
        setattr(engine, name, _with_history(name))

    from ministack.app import main as serve

    serve()


if __name__ == "__main__":
    main()
