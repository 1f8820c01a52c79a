"""The slow path: a file that COPY refused, row by row into a stage of texts, where the database judges every row.

It costs several times what COPY does, and only files with something wrong in them pay it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from penstock.adapters.postgres.clean_json import record
from penstock.adapters.postgres.column_types import names, sql_type, table_of
from penstock.adapters.postgres.connection import Session
from penstock.adapters.postgres.judge import Judge, staged
from penstock.adapters.postgres.upsert import landing_of
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset, Format
from penstock.model.errors import BadFileError
from penstock.model.outcomes import Reject, too_many_rejects
from penstock.model.rows import Row, rows
from penstock.model.streams import ByteStream

KEPT = 1000
"""Rejects of a quarantined file that are kept."""

_RAW = sql.Identifier("pg_temp", "penstock_raw")
_STAGE = sql.Identifier("pg_temp", "penstock_stage")

_NUL_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True, slots=True)
class Repaired:
    rows: int
    rejects: int
    repeats: int = 0


class TooManyRejectsError(BadFileError):
    """More rows were rejected than the dataset allows. `kept` are the first, each with its row's ordinal."""

    def __init__(self, reason: str, rejects: int, kept: list[tuple[int, Reject]]) -> None:
        super().__init__(reason)
        self.rejects = rejects
        self.kept = kept


def repair(session: Session, judge: Judge, stream: ByteStream, dataset: Dataset, arrival: Arrival) -> Repaired:
    """Loads the rows that the database takes, and writes the others to `penstock.reject`.

    Raises BadFileError when the file can't be read, TooManyRejectsError when too many rows are bad, and psycopg's
    errors where the table refuses rows that its types would take; the caller then rolls back to its savepoint.
    """
    connection = session.connection
    total = _fill(session, stream, dataset)
    bad = judge.judge(connection, _STAGE, dataset)
    allowed = dataset.rejects_allowed(total)
    if bad > allowed:
        kept = list(_rejects(session))
        raise TooManyRejectsError(too_many_rejects(bad, total, allowed, kept[0][1]), bad, kept)
    if bad:
        connection.execute(
            sql.SQL(
                "INSERT INTO penstock.reject (target, arrival, retry, ordinal, line, column_name, reason, raw)"
                " SELECT {}, {}, {}, ordinal, line, column_name, reason, left(raw, {})"
                " FROM {} JOIN pg_temp.penstock_bad USING (ordinal)"
            ).format(table_of(dataset).qualified, arrival.id, arrival.retry, Reject.MAX_RAW, _STAGE)
        )
        connection.execute(
            sql.SQL("DELETE FROM {} USING pg_temp.penstock_bad AS b WHERE {} = b.ordinal").format(
                _STAGE, sql.SQL("penstock_stage.ordinal")
            )
        )
    _insert(session, dataset)
    connection.execute(sql.SQL("DROP TABLE pg_temp.penstock_bad, {}").format(_STAGE))
    return Repaired(total - bad, bad)


def _fill(session: Session, stream: ByteStream, dataset: Dataset) -> int:
    """The number of rows in `penstock_stage` (ordinal, line, raw, error, c1 … cn)."""
    connection = session.connection
    texts = [sql.SQL("{} text").format(staged(place)) for place in range(1, len(dataset.columns) + 1)]
    lead = sql.SQL("ordinal bigint, line bigint, raw text, error text")
    connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE penstock_stage ({}) ON COMMIT DROP").format(sql.SQL(", ").join([lead, *texts]))
    )
    if dataset.format in (Format.CSV, Format.PARQUET):
        nothing = (None,) * len(dataset.columns)
        total = _copy_rows(
            session,
            _STAGE,
            (
                (number, row.line, row.raw[: Reject.MAX_RAW], row.error, *(row.values or nothing))
                for number, row in enumerate(rows(stream, dataset))
            ),
        )
    else:
        connection.execute(sql.SQL("CREATE TEMPORARY TABLE penstock_raw ({}) ON COMMIT DROP").format(lead))
        total = _copy_rows(
            session,
            _RAW,
            ((number, row.line, row.raw, _json_error(row)) for number, row in enumerate(rows(stream, dataset))),
        )
        # The database takes the JSON apart itself: Python would round numbers that a numeric column keeps whole.
        good = sql.SQL("(CASE WHEN error = '' THEN raw END)")
        connection.execute(
            sql.SQL("INSERT INTO {} SELECT ordinal, line, raw, error, r.* FROM {}, {}").format(
                _STAGE, _RAW, record(good, dataset, typed=False)
            )
        )
        connection.execute(sql.SQL("DROP TABLE {}").format(_RAW))
    return total


def _copy_rows(session: Session, target: sql.Identifier, staged_rows: Iterator[tuple[Any, ...]]) -> int:
    with session.connection.cursor() as cursor:
        with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(target)) as copy:
            for number, row in enumerate(staged_rows):
                copy.write_row(row)
                if not number % 1000:
                    session.check()
        return cursor.rowcount


def _json_error(row: Row) -> str:
    if not row.error and "\\u0000" in row.raw and _NUL_ESCAPE.search(row.raw):
        return "it holds \\u0000, a character that PostgreSQL's text can't; take it out"
    return row.error


def _rejects(session: Session) -> Iterator[tuple[int, Reject]]:
    found = session.connection.execute(
        sql.SQL(
            "SELECT ordinal, line, column_name, reason, left(raw, {})"
            " FROM {} JOIN pg_temp.penstock_bad USING (ordinal) ORDER BY ordinal LIMIT {}"
        ).format(Reject.MAX_RAW, _STAGE, KEPT)
    )
    for ordinal, line, column, reason, raw in found:
        yield ordinal, Reject(line, column, reason, raw)


def _insert(session: Session, dataset: Dataset) -> None:
    values = sql.SQL(", ").join(
        sql.SQL("{}::{}").format(staged(place), sql_type(column)) for place, column in enumerate(dataset.columns, 1)
    )
    session.connection.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
            landing_of(dataset), names(dataset.columns), values, _STAGE
        )
    )
