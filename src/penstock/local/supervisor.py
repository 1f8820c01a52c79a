"""The one process that a stack's engines are children of: `python -m penstock.local.supervisor FOLDER …`.

It ends, and everything with it, on a signal, when an engine ends, and when its life line closes: a pipe whose other end
a demo or a test run holds, so that no way in which that one ends leaves an engine running. A stack brought up to stay
has no life line; `penstock down` signals it. Should the supervisor itself be killed, the reaper cleans up.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.local import engines, reaper, search_node
from penstock.local.children import Process, free_ports
from penstock.local.state import EngineState, StackState, change

if TYPE_CHECKING:
    from penstock.local.postgres import PostgresServer

_START_SECONDS = 60


class Supervisor:
    """One stack's engines, in `folder`."""

    def __init__(
        self, folder: Path, settings: engines.Settings, *, temporary: bool, lifeline: int | None = None
    ) -> None:
        self.folder = folder
        self._settings = settings
        self._temporary = temporary
        self._lifeline = lifeline
        self._engines: dict[str, engines.Engine] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._started = False
        self._postgres: PostgresServer | None = None
        self._reaper = self._start_reaper()
        self.ended_by = ""
        self.archives = False
        """Asked for by SIGUSR1, when a stack with an archive is deployed: there is nothing to read before."""

    def start(self) -> None:
        """Returns when every engine answers. They start side by side; PostgreSQL's first start is the longest.

        All of them are started from this thread, the main one: they die with it.
        """
        ports = free_ports(5)
        wanted = [
            engines.ministack(self.folder, ports[0], ports[1], ports[4], self._settings),
            engines.nursery(self.folder, engines.library_paths()),
            engines.pipelines(self.folder, ports[1]),
        ]
        if self._settings.search != search_node.EMBEDDED:
            wanted.append(search_node.node(self._settings.search, self.folder))
        elif engines.has_search():
            wanted.append(engines.search(self.folder, ports[2]))
        for engine in wanted:
            self._start(engine)

        from penstock.local.postgres import PostgresServer  # psycopg's import runs while the others start.

        self._postgres = PostgresServer(self.folder / "postgres", ports[3])
        self._postgres.start()
        self._tell(f"group {self._postgres.pid}")
        if self._settings.warehouse == "redshift":
            superuser = self._postgres.conninfo("postgres", "postgres")
            self._start(engines.redshift(ports[4], ports[0], superuser))

        deadline = time.monotonic() + _START_SECONDS
        for name in list(self._engines):
            while not self._engines[name].ready():
                if self._the_lifeline_closed() or self._an_engine_ended() or time.monotonic() > deadline:
                    raise RuntimeError(self.ended_by or f"{name} did not answer. {self._tail(name)}")
                time.sleep(0.02)
        self._started = True
        states = {
            name: EngineState(Process.of(self._children[name].pid), engine.port, f"{name}.log")
            for name, engine in self._engines.items()
        }
        states["postgres"] = EngineState(Process.of(self._postgres.pid), ports[3], "postgres.log")
        change(self.folder, status="running", supervisor=Process.of(os.getpid()), engines=states)

    def _start(self, engine: engines.Engine) -> None:
        self._engines[engine.name] = engine
        self._children[engine.name] = child = engine.start(self.folder)
        self._tell(f"group {child.pid}")

    def wait(self, wake: int) -> None:
        """Until something ends the stack; `ended_by` says what."""
        while not self.ended_by:
            watched = [wake] if self._lifeline is None else [wake, self._lifeline]
            ready, _, _ = select.select(watched, [], [])
            if wake in ready:
                os.read(wake, 4096)
                self._an_engine_ended()
            self._the_lifeline_closed()
            if self.archives and "archive" not in self._children:
                self._start(engines.archive(self.folder))
                there = StackState.read(self.folder).engines
                state = EngineState(Process.of(self._children["archive"].pid), 0, "archive.log")
                change(self.folder, engines={**there, "archive": state})

    def end(self) -> None:
        """Kills what is left: MiniStack and its Lambda workers as one group. None of it keeps anything worth a wait."""
        for child in self._children.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
        for child in self._children.values():
            child.wait()
        if self._postgres is not None:
            self._postgres.stop()
        if self._reaper.stdin is not None:
            with contextlib.suppress(OSError):
                self._reaper.stdin.close()  # It finds nothing left to kill, and removes the folder.
        self._reaper.wait()

    def _the_lifeline_closed(self) -> bool:
        if self._lifeline is not None and select.select([self._lifeline], [], [], 0)[0]:
            self.ended_by = "its life line closed"
        return bool(self.ended_by)

    def _an_engine_ended(self) -> bool:
        for name, child in list(self._children.items()):
            if child.poll() is None:
                continue
            again = self._engines[name].again
            if again and not self._started:
                self._start(again())
            else:
                self.ended_by = f"{name} ended with {child.returncode}. {self._tail(name)}"
        if self._postgres is not None and self._postgres.ended():
            self.ended_by = f"postgres ended. {self._tail('postgres')}"
        return bool(self.ended_by)

    def _tail(self, name: str) -> str:
        log = self.folder / f"{name}.log"
        lines = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
        return f"Its log, {log}, ends: {' / '.join(lines)}" if lines else f"Its log, {log}, is empty."

    def _start_reaper(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(  # noqa: S603 - our own program and our own arguments
            [sys.executable, "-I", "-S", reaper.__file__], stdin=subprocess.PIPE, cwd="/", start_new_session=True
        )
        self._reaper = child
        self._tell(f"folder {self.folder if self._temporary else self.folder / 'tmp'}")
        if self._temporary:
            self._tell(f"parent {self.folder.parent}")
        return child

    def _tell(self, line: str) -> None:
        if self._reaper.stdin is not None:
            self._reaper.stdin.write(f"{line}\n".encode())
            self._reaper.stdin.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lifeline", type=int)
    parser.add_argument("--temporary", action="store_true")
    parser.add_argument("--no-auth", action="store_true")
    parser.add_argument("--mock-config", default="")
    parser.add_argument("--wait-scale", type=float, default=1.0)
    parser.add_argument("--search", default=search_node.EMBEDDED)
    parser.add_argument("--warehouse", default="postgres")
    given = parser.parse_args()
    folder: Path = given.folder

    with (folder / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another supervisor runs in {folder}")
        (folder / "tmp").mkdir(exist_ok=True)
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

        settings = engines.Settings(
            not given.no_auth, given.mock_config, given.wait_scale, given.search, given.warehouse
        )
        supervisor = Supervisor(folder, settings, temporary=given.temporary, lifeline=given.lifeline)

        def asked(number: int, _frame: object) -> None:
            supervisor.ended_by = signal.Signals(number).name

        def archive(_number: int, _frame: object) -> None:
            supervisor.archives = True

        signal.signal(signal.SIGUSR1, archive)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, asked)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # Only to wake up.
        reason = ""
        try:
            supervisor.start()
            supervisor.wait(wake)
            reason = supervisor.ended_by
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader of state.json is told
            reason = str(error)
        finally:
            with contextlib.suppress(FileNotFoundError):
                change(folder, status="failed", reason=reason)
            supervisor.end()
            if given.temporary:
                shutil.rmtree(folder, ignore_errors=True)
                with contextlib.suppress(OSError):
                    folder.parent.rmdir()  # Where it holds nothing else.


if __name__ == "__main__":
    main()
