"""The database says which rows are wrong, and why: its own input functions, asked without an error being raised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from penstock.adapters.postgres.column_types import sql_type
from penstock.adapters.postgres.connection import Connection
from penstock.model.datasets import Column, ColumnType

REQUIRED = "it is null, and the column is required"

_SOFT_ERRORS_SINCE = 160000
"""pg_input_is_valid and pg_input_error_info; before, `penstock.input_error` catches exceptions (`ledger_schema`)."""


@dataclass(frozen=True, slots=True)
class Judge:
    """`soft` is whether the server has functions for it, from PostgreSQL 16 on."""

    soft: bool

    @classmethod
    def of(cls, connection: Connection) -> Judge:
        return cls(connection.info.server_version >= _SOFT_ERRORS_SINCE)

    def judge(self, connection: Connection, stage: sql.Identifier, columns: Sequence[Column]) -> int:
        """How many rows of `stage` (ordinal, error, c1 … cn as text) are rejects.

        Leaves them in `pg_temp.penstock_bad` (ordinal, column_name, reason): the first fault of each.
        """
        faults: list[sql.Composable] = [sql.SQL("WHEN error <> '' THEN 0")]
        reasons: list[sql.Composable] = [sql.SQL("WHEN 0 THEN error")]
        for place, column in enumerate(columns, 1):
            value = staged(place)
            tests = self._tests(column, value)
            if tests:
                either = sql.SQL(" OR ").join(tests)
                faults.append(sql.SQL("WHEN {} THEN {}").format(either, place))
                reasons.append(sql.SQL("WHEN {} THEN {}").format(place, self._reason(column, value)))
        connection.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE penstock_bad ON COMMIT DROP AS"
                " SELECT ordinal, coalesce(({columns}::text[])[place], '') AS column_name,"
                " CASE place {reasons} END AS reason"
                " FROM (SELECT *, CASE {faults} END AS place FROM {stage} OFFSET 0) AS judged"
                " WHERE place IS NOT NULL"
            ).format(
                columns=sql.Literal([column.name for column in columns]),
                reasons=sql.SQL(" ").join(reasons),
                faults=sql.SQL(" ").join(faults),
                stage=stage,
            )
        )
        row = connection.execute("SELECT count(*) FROM pg_temp.penstock_bad").fetchone()
        return int(row[0]) if row else 0

    def _tests(self, column: Column, value: sql.Identifier) -> list[sql.Composable]:
        tests: list[sql.Composable] = []
        if column.required:
            tests.append(sql.SQL("{} IS NULL").format(value))
        if column.type is not ColumnType.TEXT:
            invalid = "NOT pg_input_is_valid({}, {})" if self.soft else "penstock.input_error({}, {}) IS NOT NULL"
            tests.append(sql.SQL(invalid).format(value, _literal_type(column)))
        return tests

    def _reason(self, column: Column, value: sql.Identifier) -> sql.Composable:
        # The value itself is taken out of the text: the ledger's reasons and the logs quote no row.
        message = "(pg_input_error_info({0}, {1})).message" if self.soft else "penstock.input_error({0}, {1})"
        return sql.SQL(
            "CASE WHEN {0} IS NULL THEN {2} ELSE regexp_replace(regexp_replace("
            + message
            + ", '^\"[^\n]*\" is ', 'value is '), ':? *\".*\"', '') END"
        ).format(value, _literal_type(column), REQUIRED)


def staged(place: int) -> sql.Identifier:
    """The stage's column for the dataset's column at `place`, from 1."""
    return sql.Identifier(f"c{place}")


def _literal_type(column: Column) -> sql.Literal:
    return sql.Literal(sql_type(column).as_string())
