"""Ends what a killed supervisor leaves behind: engines, Lambda workers, a temporary folder.

Started by the supervisor as `python -I -S reaper.py`, with a pipe for its input, in a session of its own so that a
terminal's Ctrl-C doesn't reach it. It is told process groups and folders, a line each; when the pipe closes, as it does
however the supervisor ends, it kills the groups and removes the folders. Standard library only: it starts in 15 ms.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time


def main() -> None:
    groups: list[int] = []
    folders: list[str] = []
    parents: list[str] = []
    for line in sys.stdin:
        what, _, value = line.rstrip("\n").partition(" ")
        if what == "group":
            groups.append(int(value))
        elif what == "ended":
            groups.remove(int(value))
        elif what == "folder":
            folders.append(value)
        elif what == "parent":
            parents.append(value)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for folder in folders:
        _remove(folder)
    for parent in parents:
        with contextlib.suppress(OSError):  # It holds something else.
            os.rmdir(parent)  # noqa: PTH106 - as below


def _remove(folder: str) -> None:
    """What was just killed may still write a file for a moment, so a failed removal is tried again."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):  # noqa: PTH110 - pathlib costs as much to import as all the rest here
            return
        time.sleep(0.1)


if __name__ == "__main__":
    main()
