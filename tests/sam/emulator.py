"""AWS's Runtime Interface Emulator as a plain process: `awslambdaric` and a function on the layer of `sam build`.

The emulator is the one that `sam local` puts into its containers, and comes inside the aws-sam-cli wheel.
"""

from __future__ import annotations

import http.client
import json
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import samcli

from penstock.local.children import free_ports

_PROCESSOR = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
_EMULATOR = Path(samcli.__file__).parent / "local" / "rapid" / f"aws-lambda-rie-{_PROCESSOR}"
_RUN = "import sys; sys.path[:0] = sys.argv[2:]; from awslambdaric.__main__ import main; main(['', sys.argv[1]])"


@dataclass(frozen=True)
class Emulated:
    """A function's execution environment."""

    port: int
    process: psutil.Process

    def invoke(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The answer; of an error `{"errorType", "errorMessage", …}`, as Lambda gives it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", "/2015-03-31/functions/function/invocations", json.dumps(event))
            told: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return told

    def peak_memory(self) -> int:
        """Of the function's own process, the most it ever had resident; MiB."""
        [worker] = self.process.children()
        status = Path(f"/proc/{worker.pid}/status").read_text()
        [peak] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        return int(peak) // 1024


@contextmanager
def emulated(paths: list[Path], environment: Mapping[str, str], memory: int, timeout: int) -> Iterator[Emulated]:
    """`app.handler` of the first of `paths`, which together are all that Python finds besides its standard library."""
    port, runtime_api = free_ports(2)
    child = subprocess.Popen(
        [
            _EMULATOR,
            "--runtime-interface-emulator-address",
            f"127.0.0.1:{port}",
            "--runtime-api-address",
            f"127.0.0.1:{runtime_api}",
            *[sys.executable, "-I", "-S", "-c", _RUN, "app.handler"],
            *paths,
        ],
        cwd=paths[0],
        env={
            **environment,
            "_HANDLER": "app.handler",
            "LAMBDA_TASK_ROOT": str(paths[0]),
            "AWS_LAMBDA_FUNCTION_NAME": paths[0].name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout),
            "POWERTOOLS_TRACE_DISABLED": "1",  # There is no X-Ray daemon to send to.
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await(port, child)
        yield Emulated(port, psutil.Process(child.pid))
    finally:
        workers = psutil.Process(child.pid).children()
        child.kill()
        child.wait()
        for worker in workers:
            worker.kill()
            worker.wait()


def _await(port: int, child: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert child.poll() is None, "the emulator ended before it served"
        time.sleep(0.02)
    raise AssertionError("the emulator did not serve within 30 seconds")
