"""Whom a function trusts: it sends its password to no server but the one that the secret names."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.certificates import Authority
from tests.conftest import DEBIANS, NO_DEBIANS, postgres_server, tls_options
from tests.contract.warehouses import PostgresKit, dataset_of, load
from tests.fakes.object_store import FakeObjectStore
from tests.folders import open_folder

from penstock.adapters.postgres import PostgresWarehouse
from penstock.adapters.postgres.tls import CA_FILE, tls_of
from penstock.local.postgres import LOADER, OWNER, PostgresServer
from penstock.model.errors import DestinationDownError

Server = tuple[PostgresServer, Authority]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """It speaks TLS as localhost. Debian's it is: the wheel's was built without."""
    if not DEBIANS.is_dir():
        pytest.skip(NO_DEBIANS)
    authority = Authority("a company's")
    with (
        open_folder("tls") as folder,
        postgres_server(DEBIANS, tls_options(authority, "localhost", folder)) as running,
    ):
        yield running, authority


@pytest.fixture(autouse=True)
def _kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An authority of a secret is kept in a file for as long as a function's worker lives; here, for a test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def conninfo(server: PostgresServer, user: str, tls: dict[str, str], host: str = "localhost") -> str:
    return make_conninfo(server.conninfo(user), host=host, hostaddr="127.0.0.1", **tls)


def used(conninfo: str) -> bool:
    with psycopg.connect(conninfo) as connection:
        found = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
    return bool(found and found[0])


def test_files_are_loaded_from_a_server_whose_authority_is_in_the_secret(server: Server, tmp_path: Path) -> None:
    running, authority = server
    tls = tls_of({"sslrootcert": authority.pem}, tmp_path)
    owner, loader = (conninfo(running, user, tls) for user in (OWNER, LOADER))
    kit, dataset, store = PostgresKit(owner, loader), dataset_of(), FakeObjectStore()
    kit.apply(dataset)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", b"id,name,delay\n1,one,-5\n")

    outcomes = load(kit.warehouse, dataset, store, arrival)
    kit.close()

    assert outcomes[arrival.id].rows == 1
    assert tls["sslmode"] == "verify-full"
    assert used(loader)


def test_an_authority_beside_the_datasets_is_trusted(server: Server, tmp_path: Path) -> None:
    running, authority = server
    (tmp_path / CA_FILE).write_text(authority.pem)

    assert used(conninfo(running, LOADER, tls_of({}, tmp_path)))


@pytest.mark.parametrize("host", ["localhost", "elsewhere"])
def test_a_server_that_is_not_trusted_is_a_warehouse_that_is_down_and_says_what_to_do(
    server: Server, tmp_path: Path, host: str
) -> None:
    running, authority = server
    secret = {"sslrootcert": authority.pem if host == "elsewhere" else Authority("another").pem}
    warehouse = PostgresWarehouse(conninfo(running, LOADER, tls_of(secret, tmp_path), host))

    with pytest.raises(DestinationDownError, match=r"certificate.*warehouse-ca\.pem.*sslrootcert"):
        warehouse.outcomes(dataset_of(), [])


def test_without_an_authority_of_its_own_the_public_ones_are_asked(server: Server, tmp_path: Path) -> None:
    running, _ = server

    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(conninfo(running, LOADER, tls_of({}, tmp_path)))


def test_a_secret_may_ask_for_encryption_alone(server: Server, tmp_path: Path) -> None:
    running, _ = server
    (tmp_path / CA_FILE).write_text(Authority("another").pem)

    assert used(conninfo(running, LOADER, tls_of({"sslmode": "require"}, tmp_path)))


def test_an_authority_that_is_neither_a_certificate_nor_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sslrootcert"):
        tls_of({"sslrootcert": str(tmp_path / "nowhere.pem")}, tmp_path)
