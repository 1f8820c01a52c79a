"""A table's rows are counted by ranges of what they carry: an answer of the Data API holds some million files."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from psycopg import sql

from penstock.adapters.redshift.data_api import DataApi
from penstock.adapters.redshift.sql_text import format_sql, identifier, table_of
from penstock.model.datasets import Dataset

FILES = 1_000_000
"""Of a part: the Data API takes some hundred MB of answer."""

_IDS = 2**32
"""Arrivals are told apart by their first eight digits well enough for parts of about one size."""

_SECONDS = 240.0
"""That counting a part may take. Reconcile has 900, and begins none after eight minutes."""


def parts(api: DataApi, dataset: Dataset, after: str) -> Iterator[str]:
    """By the files that the ledger has from there on."""
    first = after.partition("-")[2] if after else ""
    if after and not first:
        return
    files = format_sql(
        "SELECT COUNT(*) FROM penstock.load WHERE target = {target} AND lineage >= {first}",
        target=sql.Literal(table_of(dataset).qualified),
        first=sql.Literal(first),
    )
    [(count,)] = api.query(files, f"count the files of {table_of(dataset).qualified}")
    number, below = 1 + int(count) // FILES, int(first or "0", 16)
    ends = [f"{below + (_IDS - below) * part // number:08x}" for part in range(1, number)]
    yield from (f"{one}-{end}" for one, end in pairwise([first, *ends, ""]))


def counted(api: DataApi, dataset: Dataset, part: str) -> Iterator[tuple[str, int]]:
    """Each arrival and its rows; of the whole table without a part.

    The rows of a COPY of many files are told apart by the ledger's counts; where the table has not as many as they are
    in all, the first of its files is said to have more, or fewer.
    """
    table = table_of(dataset)
    statement = format_sql(
        "SELECT COALESCE(l.arrival, t.id) AS id, CASE WHEN l.arrival IS NULL THEN t.n WHEN l.place > 1 THEN l.n"
        " ELSE l.n + t.n - l.lineage_rows END"
        " FROM (SELECT penstock_arrival AS id, COUNT(*) AS n FROM {table}"
        " WHERE {rows_of_part} GROUP BY 1) AS t"
        ' LEFT JOIN (SELECT arrival, lineage, lineage_rows, "rows" AS n,'
        " ROW_NUMBER() OVER (PARTITION BY lineage ORDER BY arrival) AS place"
        " FROM penstock.load WHERE target = {target} AND lineage <> arrival AND {files_of_part}) AS l"
        " ON l.lineage = t.id",
        table=identifier(table),
        rows_of_part=_within("penstock_arrival", part),
        files_of_part=_within("lineage", part),
        target=sql.Literal(table.qualified),
    )
    for arrival, rows in api.query(statement, f"count the rows of {table.qualified} by arrival", seconds=_SECONDS):
        if rows:
            yield str(arrival), int(rows)


def _within(column: str, part: str) -> sql.Composable:
    first, _, end = part.partition("-")
    below = sql.SQL("AND {} < {}").format(sql.Identifier(column), sql.Literal(end)) if end else sql.SQL("")
    return sql.SQL("{} >= {} {}").format(sql.Identifier(column), sql.Literal(first), below)
