"""The two roles of a database that was made with its administrator alone, as CreateDatabase makes one on AWS."""

from __future__ import annotations

from collections.abc import Callable

from psycopg import sql

from penstock.adapters.postgres.connection import Connections, Limits
from penstock.model.errors import DestinationDownError

OWNER, LOADER = "penstock_owner", "penstock_loader"

_GRANTS = (
    "GRANT rds_iam TO {owner}, {loader}",
    "GRANT CREATE ON DATABASE {database} TO {owner}",
    "GRANT USAGE, CREATE ON SCHEMA public TO {owner} WITH GRANT OPTION",
)


class PostgresRoles:
    """`admin` and `owner` ask for their connection strings.

    The administrator is asked once: from PostgreSQL 16 on whoever makes a role is a member of it, so making two that
    log in by IAM makes one of him too, and RDS takes his password no more.
    """

    def __init__(self, admin: Callable[[], str], owner: Callable[[], str]) -> None:
        self._admin = Connections(admin, Limits())
        self._owner = Connections(owner, Limits())

    def apply(self) -> list[str]:
        """What it did. Raises DestinationDownError where neither is let in."""
        try:
            return [] if self._is_there() else self._make()
        finally:
            self._admin.close()
            self._owner.close()

    def _is_there(self) -> bool:
        try:
            with self._owner.transaction("see whether its owner is there"):
                return True
        except DestinationDownError:
            return False  # Not there, or nobody is let in: the administrator will tell.

    def _make(self) -> list[str]:
        done: list[str] = []
        with self._admin.transaction("make the roles that own and load") as session:
            connection = session.connection
            for role in (OWNER, LOADER):
                if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
                    connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
                    done.append(f"created role {role}, which logs in by IAM")
            owner, loader = sql.Identifier(OWNER), sql.Identifier(LOADER)
            database = sql.Identifier(connection.info.dbname)
            for grant in _GRANTS:
                connection.execute(sql.SQL(grant).format(owner=owner, loader=loader, database=database))
        return done
