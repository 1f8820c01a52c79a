"""What runs on behalf of a stack, and waiting for it to be over."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from penstock.local.children import Process
from penstock.local.stack import LocalStack


def processes_of(stack: LocalStack) -> dict[str, list[Process]]:
    """All of them by what they are: `supervisor`, `reaper`, each engine's name, `worker` for Lambda's."""
    engines = {engine.pid: engine.name for engine in stack.status()}
    supervisor = next(pid for pid, name in engines.items() if name == "supervisor")
    found: dict[str, list[Process]] = {"supervisor": [Process.of(supervisor)]}
    for child in psutil.Process(supervisor).children(recursive=True):
        command = " ".join(child.cmdline())
        of_lambda = "lambda_worker" in command or "nursery" in command
        kind = "worker" if of_lambda else "reaper" if "reaper" in command else ""
        found.setdefault(engines.get(child.pid, kind or "postgres"), []).append(Process.of(child.pid))
    return found


def flat(processes: dict[str, list[Process]]) -> list[Process]:
    return [process for group in processes.values() for process in group]


def eventually(holds: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether it came to hold. For what sends no event when it does."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
