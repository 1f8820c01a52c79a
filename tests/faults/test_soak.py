"""What the soak kills by: the machine may be busy, and the soak has to end all the same."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from tests.faults.soak import IN_VAIN, Killer

_SECONDS = 30


@pytest.fixture
def workers() -> Iterator[Callable[[], list[psutil.Process]]]:
    """One worker that is alive, always."""
    made: list[subprocess.Popen[bytes]] = []

    def alive() -> list[psutil.Process]:
        if not made or made[-1].poll() is not None:
            made.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))
        return [psutil.Process(made[-1].pid)]

    yield alive
    for worker in made:
        worker.kill()
        worker.wait()


class Progress:
    def __init__(self) -> None:
        self.done = 0
        self.asked = 0

    def __call__(self) -> int:
        self.asked += 1
        return self.done


def test_a_killer_that_lets_nothing_get_done_waits_until_something_is(
    workers: Callable[[], list[psutil.Process]],
) -> None:
    progress = Progress()
    killer = Killer(workers, progress, 0.01, random.Random(1))  # noqa: S311 - no secret
    killing = threading.Thread(target=killer.run)
    killing.start()
    try:
        _until(lambda: progress.asked > 1 + 2 * IN_VAIN)
        in_vain = killer.killed
        progress.done += 1
        _until(lambda: killer.killed > IN_VAIN)
    finally:
        killer.stop()
        killing.join()

    assert in_vain == IN_VAIN


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)
