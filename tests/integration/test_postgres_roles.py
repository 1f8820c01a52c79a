"""A database that has an administrator alone, as one that was just made on AWS: what one apply makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.conftest import DEBIANS, NO_DEBIANS, postgres_server
from tests.contract.warehouses import dataset_of, load
from tests.fakes.object_store import FakeObjectStore

from penstock.adapters.postgres import PostgresRoles, PostgresSchema, PostgresWarehouse
from penstock.adapters.postgres.roles import LOADER, OWNER
from penstock.flows.apply_datasets import apply_datasets
from penstock.local.postgres import PostgresServer
from penstock.model.datasets import Dataset
from penstock.model.errors import DestinationDownError

ADMIN = "penstockadmin"
AS_ON_RDS = (
    "DROP DATABASE warehouse",
    f"DROP ROLE {OWNER}",
    f"DROP ROLE {LOADER}",
    "CREATE ROLE rds_iam",
    f"CREATE ROLE {ADMIN} LOGIN CREATEDB CREATEROLE",
    f"GRANT rds_iam TO {ADMIN} WITH ADMIN OPTION",  # On RDS he may grant it as rds_superuser.
    f"CREATE DATABASE warehouse OWNER {ADMIN}",
)


@dataclass(frozen=True)
class Applied:
    server: PostgresServer
    dataset: Dataset
    done: list[str]


@pytest.fixture(scope="module", params=["the newest", "the oldest"])
def applied(request: pytest.FixtureRequest) -> Iterator[Applied]:
    """A dataset was applied, once, to a database that had neither role."""
    oldest = request.param == "the oldest"
    if oldest and not DEBIANS.is_dir():
        pytest.skip(NO_DEBIANS)
    dataset = dataset_of()
    with postgres_server(DEBIANS if oldest else None) as server:
        with psycopg.connect(server.conninfo("postgres", "postgres"), autocommit=True) as connection:
            for statement in AS_ON_RDS:
                connection.execute(statement.encode())
        roles = PostgresRoles(as_(server, ADMIN), as_(server, OWNER))
        schema = PostgresSchema(as_(server, OWNER))
        yield Applied(server, dataset, apply_datasets(schema, None, {dataset.name: dataset}, roles=roles))


def as_(server: PostgresServer, role: str) -> Callable[[], str]:
    return lambda: server.conninfo(role)


def test_both_roles_are_made_and_then_the_tables(applied: Applied) -> None:
    created = [f"created role {role}, which logs in by IAM" for role in (OWNER, LOADER)]

    assert applied.done[:2] == created
    assert f"created table public.{applied.dataset.name}" in applied.done


def test_the_loader_loads(applied: Applied) -> None:
    store, warehouse = FakeObjectStore(), PostgresWarehouse(as_(applied.server, LOADER))
    arrival = store.put(f"incoming/{applied.dataset.prefix}a.csv", b"id,name,delay\n1,one,-5\n")

    outcomes = load(warehouse, applied.dataset, store, arrival)
    warehouse.close()

    assert outcomes[arrival.id].rows == 1


def test_both_get_in_by_iam_and_neither_may_make_another(applied: Applied) -> None:
    with psycopg.connect(applied.server.conninfo("postgres")) as connection:
        found = connection.execute(
            "SELECT rolname, rolcanlogin, pg_has_role(oid, 'rds_iam', 'MEMBER'),"
            " rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = ANY (%s) ORDER BY rolname",
            ([OWNER, LOADER],),
        ).fetchall()

    assert found == [(LOADER, True, True, False), (OWNER, True, True, False)]


def test_the_administrator_is_asked_no_more_once_the_owner_gets_in(applied: Applied) -> None:
    def nobody() -> str:
        raise AssertionError("the administrator was asked how to get in")

    assert PostgresRoles(nobody, as_(applied.server, OWNER)).apply() == []


def test_where_neither_is_let_in_the_warehouse_is_down() -> None:
    def nowhere() -> str:
        return make_conninfo(host="127.0.0.1", port=1, dbname="warehouse", user=OWNER)

    with pytest.raises(DestinationDownError, match="make the roles that own and load"):
        PostgresRoles(nowhere, nowhere).apply()
