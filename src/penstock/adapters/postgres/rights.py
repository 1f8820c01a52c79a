"""Who may do what with a table or view, handed on to what takes its place."""

from __future__ import annotations

from psycopg import sql

from penstock.adapters.postgres.column_types import identifier
from penstock.adapters.postgres.connection import Connection
from penstock.model.datasets import Table


def hand_on_rights(connection: Connection, old: Table, new: Table) -> None:
    """Who may read or write the old one may do so with the new one."""
    found = connection.execute(
        "SELECT CASE WHEN a.grantee = 0 THEN '' ELSE r.rolname::text END, a.privilege_type"
        " FROM pg_class AS c CROSS JOIN aclexplode(c.relacl) AS a LEFT JOIN pg_roles AS r ON r.oid = a.grantee"
        " WHERE c.oid = %s::regclass AND a.grantee <> c.relowner",
        (identifier(old).as_string(),),
    ).fetchall()
    for role, right in found:
        to = sql.Identifier(role) if role else sql.SQL("PUBLIC")
        connection.execute(sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(right), identifier(new), to))
