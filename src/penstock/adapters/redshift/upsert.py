"""A dataset with `upsert` or `event_id`: what a load has staged is merged by key into the table, in its transaction.

Redshift tells neither in which order COPY has read a file's rows nor from which file a row came, so Penstock reads such
files itself, and each staged row carries its arrival and its place. Of a key's staged rows one is left before MERGE,
which takes no second match, and none that is older than the table's. The gate lets one merge at a time into a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from psycopg import sql

from penstock.adapters.redshift.sql_text import format_sql, identifier, table_of
from penstock.model.arrivals import Arrival
from penstock.model.datasets import LINEAGE, ColumnType, Dataset, Upsert
from penstock.ports import MergedRow

PLACE = "penstock_place"

FIRST = sql.Identifier("penstock_first")
"""The staged rows of events; `is_new` is 1 for each event's first where the table has none, else 0."""

_NEWEST = sql.Identifier("penstock_newest")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_AS_TEXT = {
    ColumnType.TEXT: "{}",  # A VARCHAR whose length is not said has 256 bytes, and CAST cuts what is longer.
    ColumnType.REAL: "CAST({} + 0 AS VARCHAR)",  # 0 and -0 are one key.
    ColumnType.DOUBLE: "CAST({} + 0 AS VARCHAR)",
    ColumnType.BOOLEAN: "CASE {} WHEN TRUE THEN 'true' WHEN FALSE THEN 'false' END",
    ColumnType.DATE: "TO_CHAR({}, 'YYYY-MM-DD')",
    ColumnType.TIMESTAMP: "TO_CHAR({}, 'YYYY-MM-DD HH24:MI:SS.US')",
    ColumnType.TIMESTAMPTZ: "TO_CHAR({} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'",
    ColumnType.JSON: "JSON_SERIALIZE({})",
}


def merge(dataset: Dataset, upsert: Upsert, stage: sql.Identifier) -> Iterator[str]:
    """Statements that come after those which write the ledger: it says when each arrival was put."""
    table = table_of(dataset)
    ours = sql.SQL(", ").join(sql.SQL("s.{}").format(sql.Identifier(column.name)) for column in dataset.columns)
    yield format_sql(
        "CREATE TEMPORARY TABLE {newest} AS SELECT * FROM (SELECT {ours}, s.penstock_arrival,"
        " GREATEST(GETDATE(), t.penstock_loaded_at + INTERVAL '1 second') AS penstock_loaded_at,"
        " CASE WHEN t.penstock_arrival IS NULL OR s.{order} > t.{order} THEN 1"
        " WHEN s.{order} < t.{order} OR l.modified < tl.modified THEN 0"
        " WHEN l.modified > tl.modified OR tl.modified IS NULL OR s.penstock_arrival > t.penstock_arrival THEN 1"
        " ELSE 0 END AS newer, ROW_NUMBER() OVER (PARTITION BY {key}"
        " ORDER BY s.{order} DESC, l.modified DESC, s.penstock_arrival DESC, s.{place} DESC) AS nth"
        " FROM {stage} AS s JOIN penstock.load AS l ON l.target = {target} AND l.arrival = s.penstock_arrival"
        " LEFT JOIN {table} AS t ON {same}"
        " LEFT JOIN penstock.load AS tl ON tl.target = {target} AND tl.arrival = t.penstock_arrival) AS ranked"
        " WHERE nth = 1 AND newer = 1",
        newest=_NEWEST,
        ours=ours,
        order=sql.Identifier(upsert.order_by),
        key=sql.SQL(", ").join(sql.SQL("s.{}").format(sql.Identifier(name)) for name in upsert.key),
        place=sql.Identifier(PLACE),
        stage=stage,
        table=identifier(table),
        target=sql.Literal(table.qualified),
        same=_same(dataset, sql.Identifier("s"), sql.Identifier("t")),
    )
    columns = [*(column.name for column in dataset.columns), *LINEAGE]
    made = _parsed(dataset, _NEWEST, columns)
    yield format_sql(
        "MERGE INTO {table} USING {newest} ON {same} WHEN MATCHED THEN UPDATE SET {set}"
        " WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})",
        table=identifier(table),
        newest=_NEWEST,
        same=_same(dataset, sql.Identifier(table.name), _NEWEST),
        set=sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in zip(columns, made, strict=True)
        ),
        names=sql.SQL(", ").join(map(sql.Identifier, columns)),
        values=sql.SQL(", ").join(made),
    )


def first_of_each(dataset: Dataset, stage: sql.Identifier) -> Iterator[str]:
    """The same for `event_id`: of an event's rows in the load the first file's first."""
    table = table_of(dataset)
    ours = sql.SQL(", ").join(sql.SQL("s.{}").format(sql.Identifier(column.name)) for column in dataset.columns)
    yield format_sql(
        "CREATE TEMPORARY TABLE {first} AS SELECT {ours}, s.penstock_arrival, CASE WHEN t.penstock_arrival IS NULL"
        " AND ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY l.modified, s.penstock_arrival, s.{place}) = 1"
        " THEN 1 ELSE 0 END AS is_new"
        " FROM {stage} AS s JOIN penstock.load AS l ON l.target = {target} AND l.arrival = s.penstock_arrival"
        " LEFT JOIN {table} AS t ON {same}",
        first=FIRST,
        ours=ours,
        key=sql.SQL(", ").join(sql.SQL("s.{}").format(sql.Identifier(name)) for name in dataset.row_key),
        place=sql.Identifier(PLACE),
        stage=stage,
        target=sql.Literal(table.qualified),
        table=identifier(table),
        same=_same(dataset, sql.Identifier("s"), sql.Identifier("t")),
    )
    columns = [*(column.name for column in dataset.columns), "penstock_arrival"]
    yield format_sql(
        "INSERT INTO {table} ({names}) SELECT {values} FROM {first} WHERE is_new = 1",
        table=identifier(table),
        names=sql.SQL(", ").join(map(sql.Identifier, columns)),
        values=sql.SQL(", ").join(_parsed(dataset, FIRST, columns)),
        first=FIRST,
    )


def merged_rows(dataset: Dataset, arrival: Arrival) -> str:
    """A SELECT of what `merged_row` reads."""
    values = [
        sql.SQL(_AS_TEXT.get(column.type, "CAST({} AS VARCHAR)")).format(sql.Identifier(column.name))
        for column in dataset.columns
    ]
    return format_sql(
        "SELECT TO_CHAR(penstock_loaded_at, 'YYYY-MM-DD HH24:MI:SS.US'), {values} FROM {table}"
        " WHERE penstock_arrival = {arrival}",
        values=sql.SQL(", ").join(values),
        table=identifier(table_of(dataset)),
        arrival=sql.Literal(arrival.id),
    )


def merged_row(row: Sequence[str | None]) -> MergedRow:
    loaded_at = datetime.fromisoformat(str(row[0])).replace(tzinfo=UTC)
    return MergedRow(tuple(row[1:]), (loaded_at - _EPOCH) // timedelta(microseconds=1))


def _parsed(dataset: Dataset, of: sql.Identifier, names: Sequence[str]) -> list[sql.Composed]:
    """The staged columns' values, JSON no text any more."""
    parsed = {column.name for column in dataset.columns if column.type is ColumnType.JSON}
    return [
        sql.SQL("JSON_PARSE({}.{})" if name in parsed else "{}.{}").format(of, sql.Identifier(name)) for name in names
    ]


def _same(dataset: Dataset, one: sql.Identifier, other: sql.Identifier) -> sql.Composed:
    return sql.SQL(" AND ").join(
        sql.SQL("{}.{} = {}.{}").format(one, sql.Identifier(name), other, sql.Identifier(name))
        for name in dataset.row_key
    )
