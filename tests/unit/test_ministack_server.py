"""What is set in MiniStack is still there to be set, and does what it is for."""

from __future__ import annotations

import http.server
import io
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from penstock.local import lambda_worker
from penstock.local.engines import library_paths
from penstock.local.ministack_server import name_exits_during_init, read_logs_to_their_end

TALKING = """
def handler(event, context):
    print("of", event["call"])
    print("its end, without a newline", end="")
    if event["call"] == "wrong":
        raise ValueError
    return {}
"""


def test_the_waits_that_are_taken_out_are_where_they_were() -> None:
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

    assert raised.value.error_type == "Runtime.ExitError"  # type: ignore[attr-defined] # MiniStack reads it.


def bootstrap(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        command = [sys.executable, "-I", "-S", lambda_worker.__file__, str(folder), *library_paths()]
        archive.writestr(entry, f"#!/bin/sh\nexec {' '.join(command)}\n")
    return content.getvalue()


def test_each_call_has_all_that_its_worker_wrote_however_late_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OfTheTest(lambda_runtime.ProvidedWorker):  # type: ignore[misc] # It has no types.
        def _pump_output(self, stream: Any, lines: Any) -> None:
            class Late:
                def readline(_) -> bytes:  # noqa: N805 - `self` is the worker
                    read: bytes = stream.readline()
                    self._response_ready.wait(30)
                    time.sleep(0.02)  # As a thread is late on a busy machine: by more than the engine's own patience.
                    return read

                def close(_) -> None:  # noqa: N805 - as above
                    stream.close()

            super()._pump_output(Late(), lines)

    monkeypatch.setattr(lambda_svc, "_PROVIDED_CODE_CACHE", str(tmp_path / "code"))
    (tmp_path / "app.py").write_text(TALKING)
    read_logs_to_their_end(OfTheTest)
    arn = "arn:aws:lambda:us-east-1:000000000000:function:talk"
    worker = OfTheTest("talk", {"Timeout": 30, "Handler": "app.handler", "FunctionArn": arn}, bootstrap(tmp_path))
    calls = ["one", "wrong", "last"]

    try:
        logs = [worker.invoke({"call": call}, call)["log"] for call in calls]
    finally:
        worker.kill()

    for log, call in zip(logs, calls, strict=True):
        assert log.startswith(f"of {call}\nits end, without a newline")
    assert logs[1].endswith("raise ValueError")
