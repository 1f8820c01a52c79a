"""The engines that stand in for AWS here: children of the test session, on free loopback ports, ended by their pids."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from penstock.adapters.clients import client_config


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ministack(folder: Path) -> Iterator[str]:
    port = free_port()
    environment = {
        **os.environ,
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(folder),  # It leaves its process id's file there.
    }
    command = [str(Path(sys.executable).with_name("ministack"))]
    with _child(command, environment, folder / "ministack.log", port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    with _child(command, dict(os.environ), folder / "moto.log", port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _child(command: list[str], environment: dict[str, str], log: Path, port: int) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        try:
            _wait(process, port, log)
            yield
        finally:
            # The engine may have children of its own: its session is ended, and it is this session's alone.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + 30
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the engine did not come up: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)  # A port gives no sign when it opens.


def client(service: str, endpoint: str) -> Any:
    """As `penstock.adapters.clients` makes it, at `endpoint`."""
    return boto3.client(  # type: ignore[call-overload] # Not a literal name.
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=client_config(),
    )
