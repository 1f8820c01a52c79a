"""A stack's supervisor, as the process that started it holds it: begun, waited for, let go."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.local.children import Process
from penstock.local.state import StackState
from penstock.model.errors import PermanentError

LOG = "supervisor.log"
_START_SECONDS = 90


@dataclass(slots=True)
class Supervised:
    """`lifeline` is a pipe's end: when it is closed, be it by this process's death, the supervisor ends all."""

    folder: Path
    _process: subprocess.Popen[bytes]
    _lifeline: int | None

    @classmethod
    def start(cls, folder: Path, arguments: Sequence[str], *, lifeline: bool) -> Supervised:
        """Starts the engines of the stack in `folder`; without a `lifeline` they stay when this process ends."""
        reading_end, writing_end = os.pipe()
        with (folder / LOG).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own program and our own arguments
                [sys.executable, "-m", "penstock.local.supervisor", str(folder), *arguments]
                + (["--lifeline", str(reading_end)] if lifeline else []),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                pass_fds=[reading_end] if lifeline else [],
                start_new_session=True,
            )
        os.close(reading_end)
        if not lifeline:
            os.close(writing_end)
        return cls(folder, process, writing_end if lifeline else None)

    @property
    def process(self) -> Process:
        return Process.of(self._process.pid)

    def await_engines(self) -> StackState:
        """The stack's state when all engines answer. Raises PermanentError where one does not start."""
        name = self.folder.name
        deadline = time.monotonic() + _START_SECONDS
        while True:
            ended = self._process.poll() is not None
            with contextlib.suppress(FileNotFoundError):  # A temporary folder goes with its supervisor.
                state = StackState.read(self.folder)
                if state.status == "running":
                    return state
                if state.status == "failed":
                    raise PermanentError(f"stack {name} did not start: {state.reason}")
            if ended or time.monotonic() > deadline:
                log = self.folder / LOG
                said = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
                raise PermanentError(f"stack {name} did not start: {' '.join(said) or 'the supervisor ended'}")
            time.sleep(0.02)  # A file tells nobody that it was written.

    def let_go(self, seconds: float) -> None:
        """Closes the lifeline, and takes the end of a supervisor that was told to end, within so many seconds."""
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        self._process.wait(seconds)
