"""Redshift's SQL as text: names and texts quoted, the dataset's types, COPY.

psycopg quotes, without a connection. It writes a text with a backslash as E'…', which Redshift's parser, of PostgreSQL
8.0, does not know, and a plain '…' reads backslashes as escapes there: so a backslash is CHR(92), the same everywhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from psycopg import sql

from penstock.model.datasets import Column, ColumnType, Dataset, Table
from penstock.model.errors import PermanentError

T = TypeVar("T")

SQL_TYPES = {
    ColumnType.TEXT: "character varying(65535)",
    ColumnType.SMALLINT: "smallint",
    ColumnType.INTEGER: "integer",
    ColumnType.BIGINT: "bigint",
    ColumnType.NUMERIC: "numeric(38,10)",
    ColumnType.REAL: "real",
    ColumnType.DOUBLE: "double precision",
    ColumnType.BOOLEAN: "boolean",
    ColumnType.DATE: "date",
    ColumnType.TIMESTAMP: "timestamp without time zone",
    ColumnType.TIMESTAMPTZ: "timestamp with time zone",
    ColumnType.UUID: "character varying(36)",
    ColumnType.JSON: "super",
}
"""As SVV_COLUMNS writes them, their lengths added. Redshift's longest text has 65,535 bytes, and it has no uuid."""

MAX_TEXT = 65535


def table_of(dataset: Dataset) -> Table:
    if dataset.table is None:
        raise PermanentError(f"dataset {dataset.name} has no table: there is nothing to load it into")
    return dataset.table


def identifier(table: Table) -> sql.Identifier:
    return sql.Identifier(table.schema_name, table.name)


def gate_of(table: Table) -> sql.Identifier:
    """An empty table whose lock whoever writes the ledger for `table` holds: no key is enforced, so they take turns."""
    digest = hashlib.blake2b(table.qualified.encode(), digest_size=8).hexdigest()
    return sql.Identifier("penstock", f"gate_{digest}")


def literal(value: str | int | None) -> sql.Composable:
    if not isinstance(value, str) or "\\" not in value:
        return sql.Literal(value)
    parts = (
        sql.SQL("REPEAT(CHR(92), {})").format(sql.Literal(len(part))) if part.startswith("\\") else sql.Literal(part)
        for part in re.split(r"(\\+)", value)
        if part
    )
    return sql.SQL("({})").format(sql.SQL(" || ").join(parts))


def literals(values: Iterable[str | int | None]) -> sql.Composed:
    return sql.SQL(", ").join(map(literal, values))


def names(columns: Iterable[Column]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)


def moment(value: datetime) -> str:
    """Ledger times are UTC, without a zone."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def pages(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def pages_of_bytes(parts: Iterable[sql.Composable], limit: int) -> Iterator[list[sql.Composable]]:
    """As many as have `limit` bytes, and one at least."""
    page: list[sql.Composable] = []
    size = 0
    for part in parts:
        length = len(part.as_string().encode())
        if page and size + length > limit:
            yield page
            page, size = [], 0
        page.append(part)
        size += length
    if page:
        yield page


def format_sql(template: str, **parts: sql.Composable) -> str:
    return sql.SQL(template).format(**parts).as_string()


def copy_files(
    into: sql.Identifier,
    columns: Sequence[Column],
    dataset: Dataset,
    manifest: str,
    role: str,
    compression: str,
    json_paths: str,
) -> str:
    """One COPY of the producers' own CSV or JSON Lines files that `manifest` lists; both are S3 URIs."""
    options: list[sql.Composable] = [sql.SQL("TIMEFORMAT 'auto' DATEFORMAT 'auto'")]
    if dataset.format == "csv":
        options += [
            sql.SQL("FORMAT AS CSV DELIMITER {} QUOTE {}").format(
                sql.Literal(dataset.csv.delimiter), sql.Literal(dataset.csv.quote)
            ),
            *(sql.SQL("NULL AS {}").format(sql.Literal(marker)) for marker in dataset.null_markers if marker),
            *([sql.SQL("IGNOREHEADER 1")] if dataset.csv.header else []),
            sql.SQL("EMPTYASNULL IGNOREBLANKLINES"),
        ]
    else:
        options.append(sql.SQL("FORMAT AS JSON {}").format(sql.Literal(json_paths)))
    options.append(sql.SQL(f"{compression} MANIFEST COMPUPDATE OFF STATUPDATE OFF".strip()))
    return _copy(into, names(columns), manifest, role, sql.SQL(" ").join(options))


def copy_parquet(into: sql.Identifier, manifest: str, role: str) -> str:
    """One COPY of Parquet files of the table's very columns: it takes no list of them, and hardly an option."""
    return format_sql(
        "COPY {into} FROM {manifest} IAM_ROLE {role} FORMAT AS PARQUET MANIFEST STATUPDATE OFF",
        into=into,
        manifest=sql.Literal(manifest),
        role=_role(role),
    )


def copy_lines(into: sql.Identifier, columns: Sequence[str], uri: str, role: str, *, manifest: bool) -> str:
    """One COPY of JSON Lines that Penstock has written, whose keys are the columns' names."""
    how = "TIMEFORMAT 'auto' DATEFORMAT 'auto' FORMAT AS JSON 'auto'" + (" MANIFEST" if manifest else "")
    return _copy(
        into,
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        uri,
        role,
        sql.SQL(f"{how} COMPUPDATE OFF STATUPDATE OFF"),
    )


def _copy(into: sql.Identifier, columns: sql.Composable, uri: str, role: str, options: sql.Composable) -> str:
    return format_sql(
        "COPY {into} ({columns}) FROM {uri} IAM_ROLE {role} {options}",
        into=into,
        columns=columns,
        uri=sql.Literal(uri),
        role=_role(role),
        options=options,
    )


def _role(role: str) -> sql.Composable:
    return sql.SQL("default") if role == "default" else sql.Literal(role)
