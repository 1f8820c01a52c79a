"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.certificates import Authority
from tests.engines import told
from tests.folders import open_folder
from tests.sam.build import sam_build

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


DEBIANS = Path("/usr/lib/postgresql/15/bin")
"""The oldest PostgreSQL that Penstock says it takes; the wheel's is the newest."""
NO_DEBIANS = f"PostgreSQL 15 is not in {DEBIANS}: on Debian 12, apt-get install postgresql-15"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The wheel's, or the one whose programs lie in the folder that PENSTOCK_TEST_POSTGRES_BIN names."""
    given = os.environ.get("PENSTOCK_TEST_POSTGRES_BIN")
    with postgres_server(Path(given) if given else None) as server:
        yield _postgres(server)


@pytest.fixture(scope="session")
def postgres_15() -> Iterator[Postgres]:
    """Debian's, whose clients connect by TLS and verify it by a certificate authority of the session's own."""
    if not DEBIANS.is_dir():
        pytest.skip(NO_DEBIANS)
    with open_folder("ca") as folder:
        authority, ca = Authority("session"), folder / "ca.pem"
        ca.write_text(authority.pem)
        with postgres_server(DEBIANS, tls_options(authority, "localhost", folder)) as server:
            yield _postgres(server, f" host=localhost hostaddr=127.0.0.1 sslmode=verify-full sslrootcert={ca}")


@contextmanager
def postgres_server(binaries: Path | None = None, options: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    with open_folder("postgres") as base:
        server = PostgresServer(base / "data", free_port(), binaries, options)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def tls_options(authority: Authority, host: str, folder: Path) -> dict[str, str]:
    """What makes a server speak TLS as `host`, its files in `folder`, which any user can enter."""
    certificate, key = authority.issue(host, folder)
    if os.geteuid() == 0:
        shutil.chown(key, "nobody")  # As the server runs: it wants a key that is its own.
    return {"ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}


def _postgres(server: PostgresServer, more: str = "") -> Postgres:
    return Postgres(*(server.conninfo(user) + more for user in (OWNER, LOADER, "postgres")))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sam build` makes. Tests that use it are of the xdist group "sam build", so that it is made once."""
    folder = tmp_path_factory.mktemp("sam") / "build"
    sam_build(folder)
    return folder


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the marks in its own.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a fixture of a whole module starts is started once: the tests that share it go to one worker, as a group."""
    for item in items:
        if isinstance(item, pytest.Function) and not item.get_closest_marker("xdist_group") and (group := _group(item)):
            item.add_marker(pytest.mark.xdist_group(group))


def _group(item: pytest.Function) -> str:
    """Of its module, and of the parameter, which is an engine of its own; empty when it shares nothing."""
    module = item.nodeid.partition("::")[0]
    fixtures = {name: known[-1] for name, known in item._fixtureinfo.name2fixturedefs.items()}
    shared = [name for name, one in fixtures.items() if one.scope == "module" and one.baseid == module]
    indices = item.callspec.indices if hasattr(item, "callspec") else {}
    return " ".join([module, *(str(indices[name]) for name in shared if name in indices)]) if shared else ""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says after the whole suite what it ran against; of a single file nobody asks."""
    passed = [report.nodeid for report in terminalreporter.getreports("passed") if report.when == "call"]
    skipped = [report.longrepr[2] for report in terminalreporter.getreports("skipped")]
    if not terminalreporter.config.option.file_or_dir:
        terminalreporter.section("what it ran against")
        for line in told(passed, skipped):
            terminalreporter.write_line(line)


def pytest_addoption(parser: pytest.Parser) -> None:
    # Here and not in tests/workflow: pytest reads options from the conftest of the folder that it is called for.
    parser.addoption("--sfn-endpoint", help="run tests/workflow against this Step Functions endpoint")
    parser.addoption("--sam-deploy", action="store_true", help="run sam deploy and sam delete, over a minute")
    parser.addoption("--sam-local", action="store_true", help="run every function in a container by sam local, minutes")
