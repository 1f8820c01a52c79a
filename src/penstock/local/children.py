"""Child processes that don't outlive who started them.

Linux ends a child with its parent when the child asked for it (PR_SET_PDEATHSIG); elsewhere, and for grandchildren, the
reaper (`penstock.local.reaper`) does. A process is known by its id *and* its start time, for ids are used again.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def dying_with_parent(by: signal.Signals = signal.SIGKILL) -> Callable[[], None] | None:
    """What `subprocess` runs between fork and exec (`preexec_fn`); None where the system has no such thing.

    The signal is sent when the *thread* that forked ends, so children are started from a thread that stays. It is asked
    for after root was dropped, because a change of user forgets it; `subprocess` keeps that order.
    """
    if _libc is None:
        return None
    prctl = _libc.prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, by.value, 0, 0, 0)
        if os.getppid() != parent:  # It died between fork and here.
            os._exit(1)

    return ask


@dataclass(frozen=True, slots=True)
class Process:
    """A process that may have ended since, and whose id may be another's by now."""

    pid: int
    started: float
    """Seconds since the epoch, as the system tells them."""

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, psutil.Process(pid).create_time())

    def alive(self) -> bool:
        """False also for a zombie: it has ended, and waits for its parent to look."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def signal(self, number: signal.Signals) -> None:
        """Sends it, if that process is still there."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def end_group(self) -> None:
        """Kills the process and all of its group: for a leader that was started in a session of its own."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)


def await_end(processes: Iterable[Process], seconds: float) -> list[Process]:
    """Those still alive after at most `seconds`."""
    deadline = time.monotonic() + seconds
    left = [process for process in processes if process.alive()]
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [process for process in left if process.alive()]
    return left


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listened on a moment ago, all different."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
