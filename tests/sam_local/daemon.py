"""A Docker daemon: the one that is there, or one that is started by hand and ends with the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_START_SECONDS = 60


@dataclass(frozen=True)
class Docker:
    """`variables` are what a client needs in its environment to find the daemon."""

    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, given: bytes | None = None, seconds: float = 300) -> str:
        """What the command says. Raises CalledProcessError, or TimeoutExpired."""
        done = subprocess.run(
            ["docker", *arguments],
            env={**os.environ, **self.variables},
            input=given,
            check=True,
            capture_output=True,
            timeout=seconds,
        )
        return done.stdout.decode().strip()

    def answers(self) -> bool:
        try:
            self.run("info", seconds=20)
        except (OSError, subprocess.SubprocessError):
            return False
        return True


@contextmanager
def docker() -> Iterator[Docker]:
    there = Docker()
    if there.answers():
        yield there
        return
    if os.geteuid() != 0 or not (shutil.which("dockerd") and shutil.which("docker")):
        pytest.skip("no Docker daemon answers, and one by hand takes root and dockerd (docker.io)")
    with _by_hand() as started:
        yield started


@contextmanager
def _by_hand() -> Iterator[Docker]:
    """One that no network rule of this machine is changed for: its containers reach nothing but what they are given."""
    had_bridge = Path("/sys/class/net/docker0").exists()
    with tempfile.TemporaryDirectory(prefix="penstock-docker-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / "dockerd.log").open("wb") as log:
            daemon = subprocess.Popen(
                [
                    *("dockerd", "--host", f"unix://{folder}/docker.sock", "--pidfile", str(folder / "dockerd.pid")),
                    *("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")),
                    *("--iptables=false", "--ip6tables=false", "--ip-forward=false"),
                ],
                stdout=log,
                stderr=log,
            )
        started = Docker({"DOCKER_HOST": f"unix://{folder}/docker.sock"})
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not started.answers():
                if daemon.poll() is not None or time.monotonic() > deadline:
                    said = (folder / "dockerd.log").read_text().splitlines()[-1:]
                    pytest.skip(f"dockerd, started by hand, does not serve: {' '.join(said)}")
                time.sleep(0.2)
            yield started
        finally:
            daemon.terminate()  # It ends its containers and its containerd first.
            daemon.wait(60)
            for mounted in sorted(_mounted_below(folder), reverse=True):
                subprocess.run(["umount", mounted], check=False)
            if not had_bridge and shutil.which("ip"):
                subprocess.run(["ip", "link", "delete", "docker0"], check=False, capture_output=True)


def _mounted_below(folder: Path) -> list[str]:
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [point for point in points if Path(point).is_relative_to(folder)]
