"""Makes the warehouse fit the datasets: Penstock's tables, and the datasets'. For an owner, never for the loader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from psycopg import sql

from penstock.adapters.postgres.connection import Connection, Connections, Limits
from penstock.adapters.postgres.ledger_schema import GRANTS, INDEXES, INPUT_ERROR, LEDGER, MIGRATIONS
from penstock.adapters.postgres.target_table import TargetTable, ensure_schema, exists
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError

OLDEST = 15

_LOCK = 7_381_023_540
"""Any number, as long as every apply takes the same."""


class PostgresSchema:
    """`conninfo` is libpq's, or asks for it, with a role that may create schemas and tables; `loader` loads."""

    def __init__(self, conninfo: str | Callable[[], str], loader: str = "penstock_loader") -> None:
        self._connections = Connections(conninfo, Limits())
        self._loader = loader

    def apply(self, datasets: Mapping[str, Dataset] | Iterable[Dataset]) -> list[str]:
        """What it did, a sentence each; nothing to do is an empty list. All or nothing, one apply at a time.

        Raises PermanentError where a table that is there conflicts with its dataset: nothing is dropped or retyped.
        """
        wanted = datasets.values() if isinstance(datasets, Mapping) else datasets
        done: list[str] = []
        try:
            with self._connections.transaction("apply the datasets") as session:
                connection = session.connection
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                _check_server(connection, self._loader)
                done += self._own(connection)
                for dataset in wanted:
                    if dataset.table is not None:
                        done += TargetTable(connection, dataset, self._loader).apply()
        finally:
            self._connections.close()
        return done

    def _own(self, connection: Connection) -> list[str]:
        done = ensure_schema(connection, "penstock", self._loader)
        new = not exists(connection, "penstock", "load")
        for statement in (*LEDGER, *(INDEXES if new else ())):
            connection.execute(statement)
        for migration in MIGRATIONS:
            due = connection.execute(migration.due.encode()).fetchone()
            if due and due[0]:
                for statement in migration.statements:
                    connection.execute(statement.encode())
                done.append(migration.done)
        connection.execute(INPUT_ERROR)
        for grant in GRANTS:
            connection.execute(sql.SQL(grant).format(loader=sql.Identifier(self._loader)))
        return [*done, "created the load ledger penstock.load and penstock.reject"] if new else done


def _check_server(connection: Connection, loader: str) -> None:
    if connection.info.server_version < OLDEST * 10000:
        raise PermanentError(
            f"the warehouse is PostgreSQL {connection.info.server_version // 10000}; Penstock needs {OLDEST} or later"
        )
    row = connection.execute(
        "SELECT current_setting('server_encoding'), EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", (loader,)
    ).fetchone()
    encoding, has_loader = row or ("", False)
    if encoding != "UTF8":
        raise PermanentError(f"the warehouse's database is encoded as {encoding}; create one with ENCODING 'UTF8'")
    if not has_loader:
        raise PermanentError(
            f"the warehouse has no role {loader}, which the functions load as. Create it: CREATE ROLE {loader} LOGIN "
            "PASSWORD '…', with the password of the warehouse's secret"
        )
