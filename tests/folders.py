"""Folders that go with the process that made them, also when it is killed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.local import reaper


@contextmanager
def open_folder(name: str) -> Iterator[Path]:
    """One that any user can enter: PostgreSQL drops root, and pytest's own folders are their user's alone."""
    folder = Path(tempfile.mkdtemp(prefix=f"penstock-{name}-"))
    folder.chmod(0o711)
    watching = subprocess.Popen(
        [sys.executable, "-I", "-S", reaper.__file__], stdin=subprocess.PIPE, cwd="/", start_new_session=True
    )
    assert watching.stdin
    with watching.stdin as pipe:
        pipe.write(f"folder {folder}\n".encode())
        pipe.flush()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            watching.kill()  # Not by the pipe alone: a child that was forked meanwhile may hold it open.
            watching.wait()
