"""What every Lambda handler is wrapped in: structured logs, traces, and the two error names that ASL knows.

Step Functions matches the name of an error exactly and knows no inheritance. So what leaves a handler is
`TransientError` or `PermanentError` itself, whatever subclass was raised. Any other error keeps its name, which the
state machine has under States.ALL, and loses its text: a library's message may quote a row, and would go into states
and logs.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, Protocol

from aws_lambda_powertools import Logger

from penstock import wiring
from penstock.model.errors import PermanentError, TransientError
from penstock.snapshot import prepare_for_copies

Event = Mapping[str, Any]
Answer = dict[str, Any]


class Context(Protocol):
    """The part of Lambda's context that Penstock reads."""

    @property
    def aws_request_id(self) -> str: ...

    @property
    def invoked_function_arn(self) -> str: ...

    def get_remaining_time_in_millis(self) -> int: ...


Handler = Callable[[Event, Any], Answer]

REFUSED, DOWN, UNEXPECTED, TRY_AGAIN = 65, 69, 70, 75
"""What a task exits with where a function would raise: PermanentError, that its destination is down, what nobody
expected, TransientError. Numbers as in sysexits.h."""

_LONGEST_CAUSE = 2_000
"""Characters: a cause ends in each of the batch's reason files."""

# The service's name is also the name of the logger: what `penstock.*` logs by the standard library goes through it.
logger = Logger(service="penstock")


def lambda_handler(function: Handler) -> Handler:
    """Wraps a function of event and context. Raises TransientError, PermanentError, or another without its text."""

    @functools.wraps(function)
    def reporting(event: Event, context: Any) -> Answer:
        logger.append_keys(**_references(event))
        began = time.process_time()
        try:
            answer = function(event, context)
        except Exception as error:  # noqa: BLE001 - it is raised again, by the name that ASL matches.
            wiring.forget_connections()
            raise _reported(error) from None
        told = {key: value for key, value in answer.items() if _is_reference(value)}
        # The worker's peak since it began, in MiB on Linux: what MemorySize has to hold.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        spent = round((time.process_time() - began) * 1000)
        logger.info("done", extra={"answer": told, "peak_mib": peak, "cpu_ms": spent})
        return answer

    prepare_for_copies()
    with_context: Handler = logger.inject_lambda_context(clear_state=True)(reporting)
    return _traced(with_context)


def text(event: Event, name: str) -> str:
    """The event's `name`, a text that is not empty. Raises PermanentError."""
    value = event.get(name)
    if not isinstance(value, str) or not value:
        raise PermanentError(_refusal(event, name, "a text"))
    return value


def number(event: Event, name: str) -> int:
    """The event's `name`, a whole number from 0. Raises PermanentError."""
    value = event.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise PermanentError(_refusal(event, name, "a whole number from 0"))
    return value


def outcome(event: Event, branch: str) -> dict[str, str]:
    """How a branch ended: `{"status": "done"}` or `{"status": "failed", "error", "cause"}`. Raises PermanentError.

    The cause of a function's error is Lambda's JSON of it, stack trace and all; only its message is handed on. That of
    a task is ECS's description of it, of which the exit code tells what a function would have raised.
    """
    given = event.get(branch)
    status = given.get("status") if isinstance(given, Mapping) else None
    if status == "done":
        return {"status": "done"}
    if status != "failed" or not isinstance(given, Mapping):
        raise PermanentError(_refusal(event, branch, "an outcome, done or failed"))
    error, cause = str(given.get("error")), str(given.get("cause"))
    of_task = _of_task(cause, branch)
    if of_task:
        return {"status": "failed", **of_task}
    return {"status": "failed", "error": error, "cause": _message_in(cause)}


def _of_task(cause: str, branch: str) -> dict[str, str]:
    """What a task that ended badly stands for; nothing where the cause is no task's."""
    try:
        (container,) = json.loads(cause)["Containers"]
        code = container.get("ExitCode")
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    told = "the task that worked it says why in its log"
    if code == DOWN:
        return {"error": "TransientError", "cause": f"the {branch} is down: {told}"}
    if code in (TRY_AGAIN, REFUSED):
        return {"error": "TransientError" if code == TRY_AGAIN else "PermanentError", "cause": f"{told} (exit {code})"}
    return {"error": "Runtime.ExitError", "cause": f"its task ended with exit code {code}; its log may say why"}


def _message_in(cause: str) -> str:
    try:
        raised = json.loads(cause)
    except ValueError:
        raised = None
    message = raised.get("errorMessage") if isinstance(raised, dict) else None
    return str(message or cause)[:_LONGEST_CAUSE]


def _refusal(event: Event, name: str, kind: str) -> str:
    return (
        f"the event's {name!r} must be {kind}; the event has {sorted(map(str, event))}. "
        "State machine and functions are deployed together: was one of them changed by hand?"
    )


def _references(event: Event) -> dict[str, str | int]:
    """`run` and `batch` of the event, for every line that is logged. What rebuilds views is told its `run` by name."""
    keys: dict[str, str | int] = {}
    run = event.get("plan", event.get("run"))
    if isinstance(run, str):
        keys["run"] = run
    if isinstance(event.get("batch"), int):
        keys["batch"] = event["batch"]
    return keys


def _is_reference(value: object) -> bool:
    return isinstance(value, (bool, int, float)) or (isinstance(value, str) and len(value) <= 200)


def _reported(error: Exception) -> Exception:
    """The error as it leaves the function, after it was logged."""
    where = _where(error)
    for root in (TransientError, PermanentError):
        if isinstance(error, root):
            logger.error(str(error), extra={"error": type(error).__name__, "where": where})
            return root(str(error))
    name = type(error).__name__
    # The causes' names help, their texts are left out for the same reason as the error's own.
    causes = [type(cause).__name__ for cause in _causes(error)]
    logger.error("unexpected error", extra={"error": name, "causes": causes, "where": where})
    message = (
        f"unexpected {name} at {where[-1] if where else 'an unknown place'}; its text may quote a row and is left out"
    )
    unexpected: Exception = type(name, (Exception,), {})(message)
    return unexpected


def _where(error: BaseException) -> list[str]:
    """The calls that led to the error, outermost first: `flows/load_batch.py:42 begin_load`."""
    return [
        f"{'/'.join(PurePath(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__, limit=-12)
    ]


def _causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    cause = error.__cause__ or error.__context__
    while cause is not None and len(causes) < 5:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return causes


def _traced(function: Handler) -> Handler:
    # Lambda names its X-Ray daemon here. Where nobody listens, the SDK's 100 ms of import are saved.
    if "AWS_XRAY_DAEMON_ADDRESS" not in os.environ:
        return function
    from aws_lambda_powertools import Tracer

    tracer = Tracer(service="penstock", patch_modules=["boto3"])

    @functools.wraps(function)
    def annotated(event: Event, context: Any) -> Answer:
        for name, value in _references(event).items():  # X-Ray finds traces by annotations.
            tracer.put_annotation(name, value)  # type: ignore[arg-type] # To mypy no int is a numbers.Number.
        return function(event, context)

    traced: Handler = tracer.capture_lambda_handler(annotated, capture_response=False, capture_error=False)
    return traced
