"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from penstock.local.postgres import LOADER, OWNER, PostgresServer


@dataclass(frozen=True)
class Postgres:
    """Connection strings of a cluster that lives as long as the test session."""

    owner: str
    loader: str
    superuser: str


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # Not pytest's own folder: that is its user's alone, and a server that has dropped root could not enter it.
    with tempfile.TemporaryDirectory(prefix="penstock-postgres-") as base:
        Path(base).chmod(0o711)
        server = PostgresServer(Path(base) / "data", free_port())
        server.start()
        try:
            yield Postgres(server.conninfo(OWNER), server.conninfo(LOADER), server.conninfo("postgres"))
        finally:
            server.stop()


def pytest_addoption(parser: pytest.Parser) -> None:
    # Here and not in tests/workflow: pytest reads options from the conftest of the folder that it is called for.
    parser.addoption("--sfn-endpoint", help="run tests/workflow against this Step Functions endpoint")
