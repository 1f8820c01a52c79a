"""The table of one dataset: created, or fitted to the dataset where it is there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from penstock.adapters.postgres.column_types import identifier, sql_type, table_of
from penstock.adapters.postgres.connection import Connection
from penstock.model.datasets import LINEAGE, Column, Dataset, OnOverwrite
from penstock.model.errors import PermanentError

_NO_ARRIVAL = "00000000-0000-0000-0000-000000000000"
"""The lineage of rows that were in a table before Penstock came to it."""

_ARRIVAL_DEFAULT = "current_setting('penstock.arrival')::uuid"
"""Set for each file by the loader, so that COPY adds the lineage without a second copy of the data. An INSERT by hand
must set it too, or fail."""


@dataclass(frozen=True, slots=True)
class _There:
    """A column as it is; `type` as `format_type` writes it."""

    type: str
    not_null: bool
    default: bool


class TargetTable:
    """The table of one dataset."""

    def __init__(self, connection: Connection, dataset: Dataset, loader: str) -> None:
        self._connection = connection
        self._dataset = dataset
        self._loader = loader
        self._table = table_of(dataset)
        self._sql = identifier(self._table)

    def apply(self) -> list[str]:
        done = ensure_schema(self._connection, self._table.schema_name, self._loader)
        if exists(self._connection, self._table.schema_name, self._table.name):
            done += self._fit()
        else:
            self._create()
            done.append(f"created table {self._table.qualified}")
        rights = "SELECT, INSERT"
        if self._dataset.on_overwrite is OnOverwrite.REPLACE:
            done += self._index()
            rights += ", DELETE"
        if self._dataset.row_key:
            done += self._key(self._dataset.row_key)
            if self._dataset.index:
                done += self._index()
        if self._dataset.upsert:
            rights += ", UPDATE"
        self._run(f"GRANT {rights} ON {{}} TO {{}}", self._sql, sql.Identifier(self._loader))
        return done

    def _create(self) -> None:
        columns = [
            sql.SQL("{} {}{}").format(
                sql.Identifier(column.name), sql_type(column), sql.SQL(" NOT NULL" if column.required else "")
            )
            for column in self._dataset.columns
        ]
        arrival = sql.SQL(f"penstock_arrival uuid NOT NULL DEFAULT {_ARRIVAL_DEFAULT}")
        loaded_at = sql.SQL("penstock_loaded_at timestamptz NOT NULL DEFAULT now()")
        self._run("CREATE TABLE {} ({})", self._sql, sql.SQL(", ").join([*columns, arrival, loaded_at]))

    def _fit(self) -> list[str]:
        """Adds what an existing table lacks and can be added; refuses what conflicts."""
        there = self._columns()
        done: list[str] = []
        for column in self._dataset.columns:
            if column.name in there:
                done += self._check(column, there[column.name])
            elif column.required:
                raise self._refused(
                    f"lacks column {column.name}, which the dataset requires, and rows that are there have no value "
                    f"for it. Add it by hand with its values, or drop required from column {column.name}"
                )
            else:
                self._run("ALTER TABLE {} ADD COLUMN {} {}", self._sql, sql.Identifier(column.name), sql_type(column))
                done.append(f"added column {column.name} to table {self._table.qualified}")
        ours = {column.name for column in self._dataset.columns} | set(LINEAGE)
        for name, column_there in there.items():
            if column_there.not_null and not column_there.default and name not in ours:
                raise self._refused(
                    f"has column {name}, NOT NULL and without a default, which the dataset does not have: no row could "
                    "be loaded. Add it to the dataset, or give it a default"
                )
        return done + self._lineage(there)

    def _check(self, column: Column, there: _There) -> list[str]:
        wanted = sql_type(column).as_string()
        if there.type != wanted:
            raise self._refused(
                f"has column {column.name} as {there.type}, and the dataset says {column.type} ({wanted}). Change the "
                f"dataset, or run ALTER TABLE {self._table.qualified} ALTER COLUMN {column.name} TYPE {wanted}"
            )
        if there.not_null and not column.required:
            raise self._refused(
                f"has column {column.name} as NOT NULL, and the dataset does not require it. Say required: true, or "
                f"run ALTER TABLE {self._table.qualified} ALTER COLUMN {column.name} DROP NOT NULL"
            )
        if column.required and not there.not_null:
            try:
                self._run("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL", self._sql, sql.Identifier(column.name))
            except psycopg.errors.NotNullViolation:
                raise self._refused(
                    f"holds rows in which column {column.name} is null, and the dataset requires it. Fill them, or "
                    f"drop required from column {column.name}"
                ) from None
            return [f"made column {column.name} of table {self._table.qualified} NOT NULL"]
        return []

    def _lineage(self, there: dict[str, _There]) -> list[str]:
        done: list[str] = []
        for name, kind, first, default in (
            ("penstock_arrival", "uuid", f"'{_NO_ARRIVAL}'", _ARRIVAL_DEFAULT),
            ("penstock_loaded_at", "timestamp with time zone", "now()", "now()"),
        ):
            if name not in there:
                column = sql.Identifier(name)
                self._run(f"ALTER TABLE {{}} ADD COLUMN {{}} {kind} NOT NULL DEFAULT {first}", self._sql, column)
                self._run(f"ALTER TABLE {{}} ALTER COLUMN {{}} SET DEFAULT {default}", self._sql, column)
                done.append(f"added column {name} to table {self._table.qualified}")
            elif there[name].type != kind or not there[name].default:
                raise self._refused(
                    f"has a column {name} that is not Penstock's lineage ({kind}, with a default). Rename it"
                )
        return done

    def _index(self) -> list[str]:
        """What `replace` deletes by, and what the rows of merged files are found by, for their documents."""
        name = f"{self._table.name[:40]}_by_arrival"
        if exists(self._connection, self._table.schema_name, name):
            return []
        self._run("CREATE INDEX {} ON {} (penstock_arrival)", sql.Identifier(name), self._sql)
        return [f"created index {name} on table {self._table.qualified}"]

    def _key(self, columns: Sequence[str]) -> list[str]:
        """What rows are merged by. Its name is the database's: a table may have had another key."""
        there = self._connection.execute(
            "SELECT EXISTS (SELECT FROM pg_index AS i WHERE indrelid = %s::regclass AND indisunique AND indisvalid"
            " AND indpred IS NULL AND indexprs IS NULL AND %s::text[] = ARRAY(SELECT attname::text FROM pg_attribute"
            ' WHERE attrelid = indrelid AND attnum = ANY(indkey[:indnkeyatts - 1]) ORDER BY attname COLLATE "C"))',
            (self._sql.as_string(), sorted(columns)),
        ).fetchone()
        if there and there[0]:
            return []
        key = ", ".join(columns)
        try:
            self._run("CREATE UNIQUE INDEX ON {} ({})", self._sql, sql.SQL(", ").join(map(sql.Identifier, columns)))
        except psycopg.errors.UniqueViolation:
            raise self._refused(
                f"holds rows that are equal in {key}, and the dataset has one of each. Delete all but one"
            ) from None
        return [f"created a unique index on {key} of table {self._table.qualified}"]

    def _columns(self) -> dict[str, _There]:
        kind = self._connection.execute(
            "SELECT relkind::text FROM pg_class WHERE oid = %s::regclass", (self._sql.as_string(),)
        ).fetchone()
        if kind is None or kind[0] not in ("r", "p"):
            raise self._refused("is no table. Drop it, or name another table in the dataset")
        found = self._connection.execute(
            "SELECT attname::text, format_type(atttypid, atttypmod), attnotnull, atthasdef OR attidentity <> ''"
            " FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            (self._sql.as_string(),),
        )
        return {name: _There(*rest) for name, *rest in found}

    def _run(self, statement: str, *parts: sql.Composable) -> None:
        self._connection.execute(sql.SQL(statement).format(*parts))

    def _refused(self, what: str) -> PermanentError:
        return PermanentError(
            f"dataset {self._dataset.name}: table {self._table.qualified} {what}. Nothing was changed"
        )


def ensure_schema(connection: Connection, name: str, loader: str) -> list[str]:
    there = connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", (sql.Identifier(name).as_string(),)).fetchone()
    done: list[str] = []
    if not (there and there[0]):
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        done.append(f"created schema {name}")
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(name), sql.Identifier(loader)))
    return done


def exists(connection: Connection, schema: str, name: str) -> bool:
    row = connection.execute(
        "SELECT to_regclass(%s) IS NOT NULL", (sql.Identifier(schema, name).as_string(),)
    ).fetchone()
    return bool(row and row[0])
