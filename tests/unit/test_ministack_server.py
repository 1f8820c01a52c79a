"""What is set in MiniStack to make it faster is still there to be set."""

from __future__ import annotations

import http.server

from ministack.core import lambda_runtime  # type: ignore[import-untyped]


def test_the_waits_that_are_taken_out_are_where_they_were() -> None:
    assert lambda_runtime.Worker._drain_stderr_bounded.__defaults__ == (0.05, 0.005, 0.25)
    assert lambda_runtime.ProvidedWorker._drain_stderr_bounded is lambda_runtime.Worker._drain_stderr_bounded
    assert http.server.BaseHTTPRequestHandler.disable_nagle_algorithm is False
