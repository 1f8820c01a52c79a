"""Starts MiniStack (`python -m penstock.local.ministack_server`): two waits taken out, logs whole, and an error named.

The waits don't change what it answers, only when: a warm synchronous invoke takes 4.5 ms so, 52 ms (of a handler that
logs) to 96 ms (of one that doesn't) as it comes; MiniStack 1.5.33, two cores. A call's log is what its worker wrote
until its last line, however late that is read; as it comes, what is not read within milliseconds of the answer goes
to the worker's next call, and to none where there is no next. The error is that of a worker that dies before its first
invocation: `Runtime.ExitError`, as on Lambda, and not `Runtime.Unknown`, which no Retry knows. Should another version
lack what is set here, it starts all the same.
"""

from __future__ import annotations

import functools
import http.server
import queue
import time
from typing import Any

from penstock.local.lambda_worker import END_OF_CALL

_LOG_SECONDS = 5.0
"""Within which what a worker has written is read, on a busy machine too."""


def main() -> None:
    # Its Runtime API writes an answer's head and its body apart. With Nagle's algorithm on, the body waits for the
    # worker's delayed ACK of the head: 40 ms of nothing per invocation.
    http.server.BaseHTTPRequestHandler.disable_nagle_algorithm = True

    from ministack.core import lambda_runtime

    provided = getattr(lambda_runtime, "ProvidedWorker", None)
    if hasattr(provided, "_drain_stderr_bounded"):
        read_logs_to_their_end(provided)
    if hasattr(provided, "_await_init"):
        name_exits_during_init(provided)

    from ministack.app import AUTH
    from ministack.app import main as serve

    if AUTH:
        from ministack.core import iam_evaluator
        from ministack.services import stepfunctions

        from penstock.local import machine_roles

        machine_roles.enforce(stepfunctions, iam_evaluator)
    serve()


def read_logs_to_their_end(worker: Any) -> None:
    """`worker` is the class of MiniStack's `provided.*` workers; `lambda_worker` writes where a call's log ends."""
    drain = worker._drain_stderr_bounded  # noqa: SLF001 - it has no public name

    def to_its_end(self: Any, *args: Any, **kwargs: Any) -> str:
        if args or kwargs:  # Of a worker that did not start, which ends no call.
            return str(drain(self, *args, **kwargs))
        lines: list[str] = []
        until = time.monotonic() + _LOG_SECONDS
        ended = False
        while not ended:
            try:
                line = self._stderr_queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            ended = line.endswith(END_OF_CALL)
            if rest := line.removesuffix(END_OF_CALL):
                lines.append(rest)
        return "\n".join(lines)

    worker._drain_stderr_bounded = to_its_end  # noqa: SLF001 - it has no other place for it


def name_exits_during_init(worker: Any) -> None:
    """`worker` is the class of MiniStack's `provided.*` workers."""
    await_init = worker._await_init  # noqa: SLF001 - it has no public name

    @functools.wraps(await_init)
    def naming(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            await_init(self, *args, **kwargs)
        except RuntimeError as error:
            if str(error).startswith("bootstrap exited during init"):
                error.error_type = "Runtime.ExitError"  # type: ignore[attr-defined] # MiniStack answers with it.
            raise

    worker._await_init = naming  # noqa: SLF001 - it has no other place for it


if __name__ == "__main__":
    main()
