"""How roles get in: by passwords that are rotated under a warm worker, and by tokens that IAM would vouch for."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import boto3
import psycopg
import pytest
from botocore.config import Config
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.certificates import Authority
from tests.conftest import DEBIANS, NO_DEBIANS, postgres_server, tls_options
from tests.contract.warehouses import PostgresKit, dataset_of, load
from tests.fakes.object_store import FakeObjectStore
from tests.folders import open_folder

from penstock.adapters.postgres import PostgresSchema, PostgresWarehouse
from penstock.adapters.postgres.column_types import table_of
from penstock.adapters.postgres.login import by_iam
from penstock.adapters.postgres.tls import CA_FILE
from penstock.local.postgres import LOADER, OWNER, PostgresServer
from penstock.model.errors import DestinationDownError

KEY, SECRET_KEY, SESSION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "a session's=token/"


def rules(folder: Path, kind: str, method: str) -> dict[str, str]:
    """Of a server that asks the loader, and nobody else, for a password."""
    hba = folder / "pg_hba.conf"
    hba.write_text(f"{kind} all {LOADER} 127.0.0.1/32 {method}\nhost all postgres,{OWNER} 127.0.0.1/32 trust\n")
    hba.chmod(0o644)
    return {"hba_file": str(hba)}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with open_folder("login") as folder, postgres_server(options=rules(folder, "host", "scram-sha-256")) as running:
        yield running


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PostgresServer, Path]]:
    """It takes the loader's password by TLS alone, in clear, as RDS takes tokens. The folder says whom to trust."""
    if not DEBIANS.is_dir():
        pytest.skip(NO_DEBIANS)
    authority, datasets = Authority("a company's"), tmp_path_factory.mktemp("datasets")
    (datasets / CA_FILE).write_text(authority.pem)
    with open_folder("login") as folder:
        options = rules(folder, "hostssl", "password") | tls_options(authority, "localhost", folder)
        with postgres_server(DEBIANS, options) as running:
            yield running, datasets


def change_password(server: PostgresServer, password: str) -> None:
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(LOADER), sql.Literal(password)))


def end_connections(server: PostgresServer) -> None:
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (LOADER,))


class Rotated:
    """Asks for the loader's connection, with each password in turn and then with the last."""

    def __init__(self, server: PostgresServer, *passwords: str) -> None:
        self._server = server
        self._passwords = list(passwords)
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        password = self._passwords.pop(0) if len(self._passwords) > 1 else self._passwords[0]
        return make_conninfo(self._server.conninfo(LOADER), password=password)


def loads(server: PostgresServer, conninfo: Callable[[], str]) -> Iterator[int]:
    """Each next one loads a file of one row with a warehouse that stays warm; the rows that it loaded."""
    warehouse, store, dataset = PostgresWarehouse(conninfo), FakeObjectStore(), dataset_of()
    PostgresKit(server.conninfo(OWNER), server.conninfo("postgres")).apply(dataset)
    try:
        for number in range(9):
            arrival = store.put(f"incoming/{dataset.prefix}{number}.csv", b"id,name,delay\n%d,one,-5\n" % number)
            yield load(warehouse, dataset, store, arrival)[arrival.id].rows
    finally:
        warehouse.close()


def test_a_password_that_is_rotated_while_a_worker_is_warm_costs_nothing(server: PostgresServer) -> None:
    change_password(server, "old")
    secret = Rotated(server, "old", "new")
    loading = loads(server, secret)
    assert next(loading) == 1

    change_password(server, "new")

    assert next(loading) == 1, "its connection is open, and stays so"
    end_connections(server)
    assert next(loading) == 1
    assert secret.asked == 2


def test_a_password_that_is_rotated_between_its_being_read_and_checked_is_read_anew(server: PostgresServer) -> None:
    change_password(server, "old")
    secret = Rotated(server, "old", "old", "new")
    loading = loads(server, secret)
    assert next(loading) == 1
    change_password(server, "new")
    end_connections(server)

    rows = next(loading)

    assert (rows, secret.asked) == (1, 3)


def test_a_password_that_is_wrong_for_good_is_a_warehouse_that_is_down_and_asked_for_no_more(
    server: PostgresServer,
) -> None:
    change_password(server, "old")
    secret = Rotated(server, "hunter2")

    with pytest.raises(DestinationDownError, match="password") as down:
        next(loads(server, secret))

    assert secret.asked == 2
    assert "hunter2" not in str(down.value)


# ── by IAM ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def signed_in(server: PostgresServer, datasets: Path) -> str:
    rds = boto3.client(
        "rds",
        region_name="eu-west-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET_KEY,
        aws_session_token=SESSION,
        endpoint_url="http://127.0.0.1:1",  # Whoever asked RDS for a token would find nobody here.
        config=Config(retries={"max_attempts": 0}),
    )
    return by_iam(rds, "localhost", "warehouse", LOADER, datasets, server.port)


def signature(token: str) -> str:
    """What AWS would find that a token is signed with: Signature Version 4, from its specification."""
    parts = urlsplit(f"https://{token}")
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "X-Amz-Signature"]
    given = dict(query)
    canonical = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query))
    request = f"GET\n/\n{canonical}\nhost:{parts.netloc}\n\nhost\n{hashlib.sha256(b'').hexdigest()}"
    scope = given["X-Amz-Credential"].partition("/")[2]
    told = f"AWS4-HMAC-SHA256\n{given['X-Amz-Date']}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{SECRET_KEY}".encode()
    for step in (*scope.split("/"), told):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return key.hex()


def test_the_token_is_for_that_role_at_that_place_for_a_quarter_of_an_hour_and_signed_by_the_functions_role(
    tls_server: tuple[PostgresServer, Path],
) -> None:
    running, datasets = tls_server

    token = str(conninfo_to_dict(signed_in(running, datasets))["password"])

    given = dict(parse_qsl(urlsplit(f"https://{token}").query))
    assert token.startswith(f"localhost:{running.port}/?")
    assert (given["Action"], given["DBUser"], given["X-Amz-Expires"]) == ("connect", LOADER, "900")
    assert re.fullmatch(rf"{KEY}/\d{{8}}/eu-west-1/rds-db/aws4_request", given["X-Amz-Credential"])
    assert given["X-Amz-Security-Token"] == SESSION
    assert given["X-Amz-Signature"] == signature(token)


def test_a_token_is_what_a_worker_sends_by_tls_and_each_connection_has_its_own(
    tls_server: tuple[PostgresServer, Path],
) -> None:
    running, datasets = tls_server
    tokens: list[str] = []

    def iam() -> str:
        """Lets in who comes with the last token that was signed, and nobody else."""
        conninfo = signed_in(running, datasets)
        tokens.append(str(conninfo_to_dict(conninfo)["password"]))
        change_password(running, tokens[-1])
        return conninfo

    loading = loads(running, iam)

    assert next(loading) == 1
    end_connections(running)
    change_password(running, "the first token is over")
    assert next(loading) == 1
    assert len(tokens) == 2


def test_without_tls_no_token_is_taken_nor_shown(tls_server: tuple[PostgresServer, Path]) -> None:
    running, datasets = tls_server
    conninfo = signed_in(running, datasets)
    token = str(conninfo_to_dict(conninfo)["password"])
    change_password(running, token)

    with pytest.raises(DestinationDownError) as down:
        PostgresWarehouse(make_conninfo(conninfo, sslmode="disable")).outcomes(dataset_of(), [])

    assert conninfo_to_dict(conninfo)["sslmode"] == "verify-full"
    for part in (token, "X-Amz-Signature", KEY):
        assert part not in str(down.value)


def test_without_credentials_of_aws_the_warehouse_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    rds = boto3.Session().client("rds", region_name="eu-west-1")

    with pytest.raises(DestinationDownError, match="no token could be signed for penstock_loader: NoCredentialsError"):
        by_iam(rds, "localhost", "warehouse", LOADER, tmp_path)


def test_the_owner_applies_the_datasets_whoever_tells_it_how_to_get_in(server: PostgresServer) -> None:
    dataset = dataset_of()

    done = PostgresSchema(lambda: server.conninfo(OWNER)).apply([dataset])

    assert f"created table {table_of(dataset).qualified}" in done
