"""Starts MiniStack (`python -m penstock.local.ministack_server`), with two of its waits taken out and an error named.

The waits don't change what it answers, only when: a warm synchronous invoke takes 4.5 ms so, 52 ms (of a handler that
logs) to 96 ms (of one that doesn't) as it comes; MiniStack 1.5.33, two cores. The error is that of a worker that dies
before its first invocation: `Runtime.ExitError`, as on Lambda, and not `Runtime.Unknown`, which no Retry knows. Should
another version lack what is set here, it starts all the same.
"""

from __future__ import annotations

import functools
import http.server
from typing import Any


def main() -> None:
    # Its Runtime API writes an answer's head and its body apart. With Nagle's algorithm on, the body waits for the
    # worker's delayed ACK of the head: 40 ms of nothing per invocation.
    http.server.BaseHTTPRequestHandler.disable_nagle_algorithm = True

    from ministack.core import lambda_runtime  # type: ignore[import-untyped] # No types.

    # After each invocation it waits up to 50 ms for a first log line, though the worker has written them all by then.
    drain = getattr(lambda_runtime.Worker, "_drain_stderr_bounded", None)
    if drain is not None and len(drain.__defaults__ or ()) == 3:
        drain.__defaults__ = (0.002, 0.002, 0.25)

    provided = getattr(lambda_runtime, "ProvidedWorker", None)
    if hasattr(provided, "_await_init"):
        name_exits_during_init(provided)

    from ministack.app import main as serve  # type: ignore[import-untyped] # No types.

    serve()


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
