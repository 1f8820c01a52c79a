"""The dataset's types as PostgreSQL's, and SQL identifiers from the dataset's names."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql

from penstock.model.datasets import Column, ColumnType, Dataset, Table
from penstock.model.errors import PermanentError

SQL_TYPES = {
    ColumnType.TEXT: "text",
    ColumnType.SMALLINT: "smallint",
    ColumnType.INTEGER: "integer",
    ColumnType.BIGINT: "bigint",
    ColumnType.NUMERIC: "numeric",
    ColumnType.REAL: "real",
    ColumnType.DOUBLE: "double precision",
    ColumnType.BOOLEAN: "boolean",
    ColumnType.DATE: "date",
    ColumnType.TIMESTAMP: "timestamp without time zone",
    ColumnType.TIMESTAMPTZ: "timestamp with time zone",
    ColumnType.UUID: "uuid",
    ColumnType.JSON: "jsonb",
}
"""As `format_type` writes them, so that they compare with the catalogue's."""


def sql_type(column: Column) -> sql.SQL:
    return sql.SQL(SQL_TYPES[column.type])


def names(columns: Iterable[Column]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)


def table_of(dataset: Dataset) -> Table:
    """The dataset's table; PermanentError where it has none, which only a wrong call can ask for."""
    if dataset.table is None:
        raise PermanentError(f"dataset {dataset.name} has no table: there is nothing to load it into")
    return dataset.table


def identifier(table: Table) -> sql.Identifier:
    return sql.Identifier(table.schema_name, table.name)
