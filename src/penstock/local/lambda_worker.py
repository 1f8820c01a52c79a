"""One Lambda execution environment on the laptop: AWS's own `awslambdaric` on this Python.

A function's `bootstrap` runs it as `python -I -S lambda_worker.py PATH…`. Where there is a nursery (PENSTOCK_NURSERY),
it has the worker forked from there and lives as long as that: this process is the one that MiniStack watches and kills.
MiniStack's own workers for `python3.x` lose the name of an exception; here the Runtime API carries it, as on AWS, so
Retry and Catch by name work.

Python's `site` is left out: the paths are known, and .pth files cost a tenth of a cold start.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import threading
import time

END_OF_CALL = "\x1e"
"""Ends a line of the output: all that the call had to say is before it. ministack_server takes it out."""


def main(paths: list[str]) -> None:
    """`paths` are where Python looks first: the function's folder, then Penstock, then libraries."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    if nursery := os.environ.get("PENSTOCK_NURSERY"):
        _have_forked(nursery, paths)
    serve(paths)


def _have_forked(nursery: str, paths: list[str]) -> None:
    """Exits with the forked worker; returns if nobody can be asked for one."""
    import json

    here = os.getcwd()  # noqa: PTH109 - pathlib costs as much to import as all the rest here
    with socket.socket(socket.AF_UNIX) as asked:
        try:
            os.chdir(nursery)
            asked.connect("nursery.sock")
        except OSError:
            return
        finally:
            os.chdir(here)
        wanted = {"environment": dict(os.environ), "folder": here, "paths": paths}
        socket.send_fds(asked, [json.dumps(wanted).encode()], [1, 2])
        asked.recv(1)  # Nothing comes: it returns when the worker has ended.
    raise SystemExit(1)


def serve(paths: list[str]) -> None:
    """Serves invocations until MiniStack is gone, in this process."""
    sys.path[:0] = paths

    import http.client

    from awslambdaric import bootstrap
    from awslambdaric.lambda_runtime_client import (
        InvocationRequest,
        LambdaRuntimeClient,
    )

    class Client(LambdaRuntimeClient):  # type: ignore[misc] # It has no types.
        """The Runtime API over one kept connection, in Python: the native client is built for Linux alone."""

        def __init__(self, address: str) -> None:
            super().__init__(address)
            self._connection = http.client.HTTPConnection(address)

        def wait_next_invocation(self) -> InvocationRequest:
            body, headers = self._call("GET", "invocation/next")
            return InvocationRequest(
                invoke_id=headers.get("Lambda-Runtime-Aws-Request-Id"),
                x_amzn_trace_id=headers.get("Lambda-Runtime-Trace-Id"),
                invoked_function_arn=headers.get("Lambda-Runtime-Invoked-Function-Arn"),
                deadline_time_in_ms=int(headers.get("Lambda-Runtime-Deadline-Ms", 0)),
                client_context=None,
                cognito_identity=None,
                tenant_id=None,
                content_type=headers.get("Content-Type"),
                event_body=body,
                invocation_id=None,
            )

        def post_invocation_result(
            self, invoke_id: str, result_data: str | bytes, content_type: str = "application/json", *_: object
        ) -> None:
            self._end_of_call()
            self._call("POST", f"invocation/{invoke_id}/response", result_data, content_type)

        def post_invocation_error(self, invoke_id: str, error_response_data: str, *_: object) -> None:
            self._end_of_call()
            self._call("POST", f"invocation/{invoke_id}/error", error_response_data)

        def _end_of_call(self) -> None:
            sys.stdout.flush()
            sys.stderr.flush()
            os.write(1, f"{END_OF_CALL}\n".encode())

        def _call(
            self, method: str, path: str, body: str | bytes | None = None, content_type: str = "application/json"
        ) -> tuple[bytes, http.client.HTTPMessage]:
            data = body.encode() if isinstance(body, str) else body
            self._connection.request(method, f"/2018-06-01/runtime/{path}", data, {"Content-Type": content_type})
            response = self._connection.getresponse()
            answer = response.read()
            if response.status >= 400:
                raise SystemExit(1)  # Another generation serves this function now, or MiniStack is ending.
            return answer, response.headers

    try:
        bootstrap.run(os.environ["_HANDLER"], Client(os.environ["AWS_LAMBDA_RUNTIME_API"]))
    except (ConnectionError, http.client.HTTPException):
        raise SystemExit(1) from None


def _end_with(parent: int) -> None:
    """Ends this process with MiniStack, also in the middle of a handler that would go on for minutes."""
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            select.select([os.pidfd_open(parent)], [], [])
        os._exit(1)
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
