"""The statements that a file's load consists of, as text: for a person, and without a database."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from penstock.adapters.postgres.clean_csv import copy_statement, copy_takes
from penstock.adapters.postgres.clean_parquet import parquet_statement
from penstock.adapters.postgres.column_types import identifier, names, sql_type, table_of
from penstock.adapters.postgres.upsert import LOCK, create_stage, landing_of, merge_statement
from penstock.model.datasets import Column, Dataset, Format, OnOverwrite

ARRIVAL = "<arrival id>"


def statements_of(dataset: Dataset, columns: Sequence[Column]) -> list[str]:
    """In their order; `columns` as the file has them. What is known only when the file arrives stands in <…>."""
    table = table_of(dataset)
    target, arrival = sql.Literal(table.qualified), sql.Literal(ARRIVAL)
    claim = sql.SQL(
        "INSERT INTO penstock.load (target, arrival, dataset, key, version_id, etag, size, …)"
        " VALUES ({}, {}, {}, …) ON CONFLICT (target, arrival) DO …"
    ).format(target, arrival, sql.Literal(dataset.name))
    lineage = sql.SQL("SELECT set_config('penstock.arrival', {}, true)").format(arrival)
    replaced = sql.SQL("DELETE FROM {} WHERE penstock_arrival = ANY('<those that the key had before>')")
    decide = sql.SQL(
        "UPDATE penstock.load SET verdict = 'loaded', rows = <so many> WHERE target = {} AND arrival = {}"
    ).format(target, arrival)
    steps = [
        sql.SQL("BEGIN"),
        claim,
        sql.SQL("SAVEPOINT <the file's>"),
        lineage,
        *([replaced.format(identifier(table))] if dataset.on_overwrite is OnOverwrite.REPLACE else []),
        *([create_stage(dataset)] if dataset.row_key else []),
        *_copies(dataset, columns),
        *_merged(dataset),
        sql.SQL("RELEASE <the file's>"),
        decide,
        sql.SQL("COMMIT"),
    ]
    return [step.as_string() for step in steps]


def _merged(dataset: Dataset) -> list[sql.Composable]:
    if not dataset.row_key:
        return []
    text = merge_statement(dataset).as_string()
    given = {"modified": "'<when it was put>'", "arrival": f"'{ARRIVAL}'", "target": f"'{table_of(dataset).qualified}'"}
    return [LOCK.format(sql.Literal(table_of(dataset).qualified)), sql.SQL(text % given)]


def _copies(dataset: Dataset, columns: Sequence[Column]) -> list[sql.Composable]:
    table = landing_of(dataset)
    if dataset.format is Format.CSV and copy_takes(dataset):
        return [copy_statement(dataset, columns)]
    if dataset.format is Format.CSV:
        markers = sql.SQL(", ").join(map(sql.Literal, dataset.null_markers))
        values = sql.SQL(", ").join(
            sql.SQL("CASE WHEN {0} NOT IN ({1}) THEN {0}::{2} END").format(
                sql.Identifier(column.name), markers, sql_type(column)
            )
            for column in columns
        )
        return [
            sql.SQL("COPY pg_temp.penstock_text ({}) FROM STDIN (FORMAT csv, …)").format(names(columns)),
            sql.SQL("INSERT INTO {} ({}) SELECT {} FROM pg_temp.penstock_text").format(table, names(columns), values),
        ]
    if dataset.format is Format.PARQUET:
        return [parquet_statement(dataset)]
    return [sql.SQL("COPY {} ({}) FROM STDIN").format(table, names(dataset.columns))]
