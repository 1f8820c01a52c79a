"""Makes the warehouse fit the datasets: Penstock's tables, and the datasets'. For an owner, never for the loader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from psycopg import sql

from penstock.adapters.redshift.data_api import DataApi
from penstock.adapters.redshift.outage import MAX_STATEMENTS
from penstock.adapters.redshift.sql_text import SQL_TYPES, format_sql, gate_of, identifier, pages, table_of
from penstock.model.datasets import LINEAGE, Dataset, Table
from penstock.model.errors import PermanentError

OWN = (
    "CREATE SCHEMA IF NOT EXISTS penstock",
    """
    CREATE TABLE IF NOT EXISTS penstock.load (
        target VARCHAR(256) NOT NULL,
        arrival VARCHAR(32) NOT NULL,
        dataset VARCHAR(64) NOT NULL,
        bucket VARCHAR(255) NOT NULL,
        key VARCHAR(8192) NOT NULL,
        key_id VARCHAR(32) NOT NULL,
        version_id VARCHAR(1024) NOT NULL,
        etag VARCHAR(255) NOT NULL,
        size BIGINT NOT NULL,
        modified TIMESTAMP NOT NULL,
        verdict VARCHAR(16) NOT NULL,
        "rows" BIGINT NOT NULL,
        rejects BIGINT NOT NULL,
        reason VARCHAR(16384) NOT NULL,
        replaced_by VARCHAR(32),
        retry INTEGER NOT NULL,
        lineage VARCHAR(32) NOT NULL,
        lineage_rows BIGINT NOT NULL DEFAULT 0,
        decided_at TIMESTAMP NOT NULL DEFAULT GETDATE(),
        repeats BIGINT NOT NULL DEFAULT 0
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS penstock.reject (
        target VARCHAR(256) NOT NULL,
        arrival VARCHAR(32) NOT NULL,
        retry INTEGER NOT NULL,
        ordinal BIGINT NOT NULL,
        line BIGINT NOT NULL,
        column_name VARCHAR(256) NOT NULL,
        reason VARCHAR(16384) NOT NULL,
        raw VARCHAR(65535) NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS penstock.load_history (
        target VARCHAR(256) NOT NULL,
        arrival VARCHAR(32) NOT NULL,
        retry INTEGER NOT NULL,
        dataset VARCHAR(64) NOT NULL,
        key VARCHAR(8192) NOT NULL,
        rejects BIGINT NOT NULL,
        reason VARCHAR(16384) NOT NULL,
        decided_at TIMESTAMP NOT NULL,
        retried_at TIMESTAMP NOT NULL DEFAULT GETDATE()
    )
    """,
)
"""No key and no CHECK: Redshift would take the one and not hold it, and refuses the other. The gate stands for both."""

_GRANTS = (
    "GRANT USAGE ON SCHEMA penstock TO {loader}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON penstock.load TO {loader}",
    "GRANT SELECT, INSERT ON penstock.reject TO {loader}",
    "GRANT SELECT, INSERT ON penstock.load_history TO {loader}",
)


_NOT_ITS_OWN = sql.SQL("table_schema NOT IN ('pg_catalog', 'information_schema')")


def grantee(loader: str) -> sql.Composable | None:
    """Behind GRANT's TO: a user, or after `ROLE ` a role. None for an empty one."""
    name = sql.Identifier(loader.removeprefix("ROLE "))
    return (sql.SQL("ROLE {}").format(name) if loader.startswith("ROLE ") else name) if loader else None


def columns_of(api: DataApi, table: Table) -> dict[str, str]:
    """The types of the table's columns; nothing where it isn't there."""
    where = sql.SQL("table_schema = {} AND table_name = {}")
    of_it = where.format(sql.Literal(table.schema_name), sql.Literal(table.name))
    return {column: kind for _, column, kind in _columns(api, of_it)}


def _columns(api: DataApi, where: sql.Composable) -> Iterator[tuple[str, str, str]]:
    """Each one's table, as `schema.name`, its name, and its type as SQL_TYPES writes it."""
    statement = format_sql(
        "SELECT table_schema, table_name, column_name, data_type, character_maximum_length, numeric_precision,"
        " numeric_scale FROM svv_columns WHERE {where}",
        where=where,
    )
    for schema, table, column, kind, length, precision, scale in api.query(statement, "read the warehouse's catalogue"):
        size = f"({length})" if length else f"({precision},{scale})" if kind == "numeric" else ""
        yield f"{schema}.{table}", column, f"{kind}{size}"


class RedshiftSchema:
    """`api` is of a role that may create schemas and tables; `loader` is the database user that loads, where that is
    another, or `ROLE` and a database role's name.
    """

    def __init__(self, api: DataApi, loader: str = "") -> None:
        self._api = api
        self._loader = grantee(loader)

    def apply(self, datasets: Mapping[str, Dataset] | Iterable[Dataset]) -> list[str]:
        """What it did, a sentence each. Every statement may be run again; up to forty are one transaction.

        Raises PermanentError where a table that is there conflicts with its dataset: nothing is dropped or retyped.
        """
        wanted = datasets.values() if isinstance(datasets, Mapping) else datasets
        there: dict[str, dict[str, str]] = {}
        for name, column, kind in _columns(self._api, _NOT_ITS_OWN):
            there.setdefault(name, {})[column] = kind
        done = [] if "penstock.load" in there else ["created the load ledger penstock.load"]
        statements = [*OWN, *self._granted(_GRANTS)]
        if "repeats" not in there.get("penstock.load", {"repeats": ""}):  # A ledger of before event_id.
            statements.append("ALTER TABLE penstock.load ADD COLUMN repeats BIGINT NOT NULL DEFAULT 0")
            done.append("added repeats to the load ledger")
        for dataset in wanted:
            if dataset.table is not None:
                statements += self._table(dataset, there.get(dataset.table.qualified), done)
        for page in pages(statements, MAX_STATEMENTS):
            ended = self._api.run(page, "apply the datasets")
            if ended.status != "FINISHED":
                raise ended.to_raise("apply the datasets")
        return done

    def _table(self, dataset: Dataset, there: dict[str, str] | None, done: list[str]) -> Iterator[str]:
        table = table_of(dataset)
        name = identifier(table)
        yield format_sql("CREATE SCHEMA IF NOT EXISTS {schema}", schema=sql.Identifier(table.schema_name))
        yield format_sql("CREATE TABLE IF NOT EXISTS {gate} (nothing INTEGER)", gate=gate_of(table))
        if there is None:
            columns = [
                sql.SQL("{} {}{}").format(
                    sql.Identifier(column.name),
                    sql.SQL(SQL_TYPES[column.type]),
                    sql.SQL(" NOT NULL" if column.required else ""),
                )
                for column in dataset.columns
            ]
            lineage = sql.SQL(
                "penstock_arrival VARCHAR(32) NOT NULL, penstock_loaded_at TIMESTAMP NOT NULL DEFAULT GETDATE()"
            )
            yield format_sql(
                "CREATE TABLE {name} ({columns})", name=name, columns=sql.SQL(", ").join([*columns, lineage])
            )
            done.append(f"created table {table.qualified}")
        else:
            yield from self._fit(dataset, there, done)
        yield from self._granted(
            (
                "GRANT USAGE ON SCHEMA {schema} TO {loader}",
                "GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {loader}",
                "GRANT SELECT, INSERT, UPDATE, DELETE ON {gate} TO {loader}",
            ),
            schema=sql.Identifier(table.schema_name),
            name=name,
            gate=gate_of(table),
        )

    def _fit(self, dataset: Dataset, there: dict[str, str], done: list[str]) -> Iterator[str]:
        """Adds what an existing table lacks and can be added; refuses what conflicts."""
        table = table_of(dataset)
        for column in dataset.columns:
            wanted = SQL_TYPES[column.type]
            if column.name not in there and not column.required:
                done.append(f"added column {column.name} to table {table.qualified}")
                yield format_sql(
                    "ALTER TABLE {name} ADD COLUMN {column} {type}",
                    name=identifier(table),
                    column=sql.Identifier(column.name),
                    type=sql.SQL(wanted),
                )
            elif there.get(column.name) != wanted:
                is_now = f"as {there[column.name]}" if column.name in there else "missing"
                raise PermanentError(
                    f"dataset {dataset.name}: table {table.qualified} has column {column.name} {is_now}, and the "
                    f"dataset wants {wanted}. Change the dataset, or the table by hand. Nothing was changed"
                )
        if missing := [name for name in LINEAGE if name not in there]:
            raise PermanentError(
                f"dataset {dataset.name}: table {table.qualified} has no column {' and no '.join(missing)}, and "
                "Redshift adds none that is NOT NULL to rows that are there. Name another table, or create them by hand"
            )

    def _granted(self, grants: Iterable[str], **parts: sql.Composable) -> Iterator[str]:
        if self._loader is not None:
            for grant in grants:
                yield format_sql(grant, loader=self._loader, **parts)
