from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.folders import open_folder

DYING = """
import os, signal
from tests.folders import open_folder

with open_folder("test") as folder:
    (folder / "left").write_text("")
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_folder_goes_with_its_block() -> None:
    with open_folder("test") as folder:
        (folder / "left").write_text("")

    assert not folder.exists()


def test_a_folder_goes_with_a_process_that_is_killed() -> None:
    killed = subprocess.run(
        [sys.executable, "-c", DYING], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True, check=False
    )
    folder = Path(killed.stdout.strip())

    until = time.monotonic() + 30
    while folder.exists() and time.monotonic() < until:
        time.sleep(0.01)  # The one that removes it was the dead process's child.
    assert killed.returncode == -9
    assert folder.name.startswith("penstock-test-")
    assert not folder.exists()
