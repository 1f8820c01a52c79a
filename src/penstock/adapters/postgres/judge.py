"""The database says which rows are wrong, and why: its own input functions, asked without an error being raised."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from penstock.adapters.postgres.column_types import sql_type
from penstock.adapters.postgres.connection import Connection
from penstock.model.datasets import Column, ColumnType, Dataset, DateOrder
from penstock.model.dates import NO_DATE, TIMES, WORDS
from penstock.model.judging import REQUIRED, advice

TOO_DEEP = "the JSON is nested too deep; write it flatter, or make the column text"

_DEEP = 500
"""Brackets from which on JSON is read where an error can be caught: it costs a subtransaction for each value."""

_SOFT_ERRORS_SINCE = 160000
"""pg_input_is_valid and pg_input_error_info; before, `penstock.input_error` catches exceptions (`ledger_schema`)."""


@dataclass(frozen=True, slots=True)
class Judge:
    """`soft` is whether the server has functions for it, from PostgreSQL 16 on."""

    soft: bool

    @classmethod
    def of(cls, connection: Connection) -> Judge:
        return cls(connection.info.server_version >= _SOFT_ERRORS_SINCE)

    def judge(self, connection: Connection, stage: sql.Identifier, dataset: Dataset) -> int:
        """How many rows of `stage` (ordinal, error, c1 … cn as text) are rejects.

        Leaves them in `pg_temp.penstock_bad` (ordinal, column_name, reason): the first fault of each.
        """
        faults: list[sql.Composable] = [sql.SQL("WHEN error <> '' THEN 0")]
        reasons: list[sql.Composable] = [sql.SQL("WHEN 0 THEN error")]
        for place, column in enumerate(dataset.columns, 1):
            value = staged(place)
            tests = self._tests(column, value)
            if tests:
                either = sql.SQL(" OR ").join(tests)
                faults.append(sql.SQL("WHEN {} THEN {}").format(either, place))
                reason = self._reason(column, value, dataset.date_order)
                reasons.append(sql.SQL("WHEN {} THEN {}").format(place, reason))
        connection.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE penstock_bad ON COMMIT DROP AS"
                " SELECT ordinal, coalesce(({columns}::text[])[place], '') AS column_name,"
                " CASE place {reasons} END AS reason"
                " FROM (SELECT *, CASE {faults} END AS place FROM {stage} OFFSET 0) AS judged"
                " WHERE place IS NOT NULL"
            ).format(
                columns=sql.Literal([column.name for column in dataset.columns]),
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
        if column.type in TIMES:
            tests.append(says_word(value))
        if column.type is not ColumnType.TEXT:
            tests.append(self._invalid(column, value))
        return tests

    def _invalid(self, column: Column, value: sql.Identifier) -> sql.Composable:
        soft = sql.SQL("NOT pg_input_is_valid({}, {})").format(value, _literal_type(column))
        hard = sql.SQL("penstock.input_error({}, {}) IS NOT NULL").format(value, _literal_type(column))
        if not self.soft:
            return hard
        if column.type is not ColumnType.JSON:
            return soft
        # What is nested too deep for the server's stack is an error to pg_input_is_valid as well.
        return sql.SQL("CASE WHEN {} THEN {} ELSE {} END").format(_may_be_deep(value), hard, soft)

    def _reason(self, column: Column, value: sql.Identifier, order: DateOrder) -> sql.Composable:
        # The value itself is taken out of the text: the ledger's reasons and the logs quote no row.
        soft = sql.SQL("(pg_input_error_info({}, {})).message").format(value, _literal_type(column))
        hard = sql.SQL("penstock.input_error({}, {})").format(value, _literal_type(column))
        message: sql.Composable = soft if self.soft else hard
        words: list[sql.Composable] = [sql.SQL("WHEN {} IS NULL THEN {}").format(value, REQUIRED)]
        if column.type is ColumnType.JSON:
            words.append(
                sql.SQL("WHEN {} AND {} LIKE 'stack depth%' THEN {}").format(_may_be_deep(value), hard, TOO_DEEP)
            )
            message = sql.SQL("CASE WHEN {} THEN {} ELSE {} END").format(_may_be_deep(value), hard, message)
        if column.type in TIMES:
            words.append(sql.SQL("WHEN {} THEN {}").format(says_word(value), NO_DATE))
        bare = sql.SQL("regexp_replace(regexp_replace({}, '^\"[^\n]*\" is ', 'value is '), ':? *\".*\"', '')").format(
            message
        )
        return sql.SQL("CASE {} ELSE {} || {} END").format(sql.SQL(" ").join(words), bare, advice(column.type, order))


def says_word(value: sql.Composable) -> sql.Composable:
    """Whether a text that is to be a date says `today` or the like; as `model.dates` asks it."""
    return sql.SQL("{} ~* {}").format(value, f"(^|[^a-z])({'|'.join(WORDS)})([^a-z]|$)")


def _may_be_deep(value: sql.Identifier) -> sql.Composable:
    return sql.SQL("length({0}) - length(translate({0}, '[{{', '')) > {1}").format(value, _DEEP)


def staged(place: int) -> sql.Identifier:
    """The stage's column for the dataset's column at `place`, from 1."""
    return sql.Identifier(f"c{place}")


def _literal_type(column: Column) -> sql.Literal:
    return sql.Literal(sql_type(column).as_string())
