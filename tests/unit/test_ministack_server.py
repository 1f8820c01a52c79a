"""What is set in MiniStack to make it faster is still there to be set."""

from __future__ import annotations

import http.server
import subprocess
import sys

import pytest
from ministack.core import lambda_runtime  # type: ignore[import-untyped]

from penstock.local.ministack_server import name_exits_during_init


def test_the_waits_that_are_taken_out_are_where_they_were() -> None:
    assert lambda_runtime.Worker._drain_stderr_bounded.__defaults__ == (0.05, 0.005, 0.25)
    assert lambda_runtime.ProvidedWorker._drain_stderr_bounded is lambda_runtime.Worker._drain_stderr_bounded
    assert http.server.BaseHTTPRequestHandler.disable_nagle_algorithm is False


def test_a_worker_that_dies_before_its_first_invocation_has_the_error_that_lambda_gives_it() -> None:
    class OfTheTest(lambda_runtime.ProvidedWorker):  # type: ignore[misc] # It has no types.
        pass

    name_exits_during_init(OfTheTest)
    worker = OfTheTest("begin_load", {"Timeout": 5}, b"")
    worker._proc = subprocess.Popen([sys.executable, "-I", "-S", "-c", "raise SystemExit(9)"])
    worker._proc.wait()

    with pytest.raises(RuntimeError, match="exited during init with code 9") as raised:
        worker._await_init()

    assert raised.value.error_type == "Runtime.ExitError"  # type: ignore[attr-defined]
