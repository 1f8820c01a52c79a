"""Whether a dataset's table can be loaded at all, asked before any file is: what fails here is no file's fault."""

from __future__ import annotations

import psycopg
from psycopg import sql

from penstock.adapters.postgres.column_types import identifier, names, table_of
from penstock.adapters.postgres.connection import Connection
from penstock.adapters.postgres.upsert import insert
from penstock.model.datasets import Dataset, OnOverwrite


def require_table(connection: Connection, dataset: Dataset) -> None:
    """Raises psycopg's error for a table, a column or a right that is missing.

    EXPLAIN looks the names up, checks the rights and fires no trigger; and it locks the table as a load does, so that
    none of it is altered before the transaction ends.
    """
    table = identifier(table_of(dataset))
    nothing = sql.SQL(", ").join([sql.NULL] * len(dataset.columns))
    connection.execute(
        sql.SQL("EXPLAIN INSERT INTO {} ({}) VALUES ({})").format(table, names(dataset.columns), nothing)
    )
    if dataset.on_overwrite is OnOverwrite.REPLACE:
        connection.execute(sql.SQL("EXPLAIN DELETE FROM {} WHERE penstock_arrival IS NULL").format(table))
    if dataset.row_key:
        values = sql.SQL("VALUES ({})").format(nothing)
        connection.execute(sql.SQL("EXPLAIN {}").format(insert(dataset, values, sql.SQL("true"))))
    may = connection.execute("SELECT has_database_privilege(current_database(), 'TEMPORARY')").fetchone()
    if not (may and may[0]):
        raise psycopg.errors.InsufficientPrivilege("permission denied to create temporary tables in the database")
