"""A clean CSV: from S3 into COPY in large chunks, with no Python per row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import sql

from penstock.adapters.postgres.column_types import names, sql_type
from penstock.adapters.postgres.connection import Session
from penstock.adapters.postgres.csv_body import csv_body
from penstock.adapters.postgres.date_words import without_date_words
from penstock.adapters.postgres.upsert import landing_of
from penstock.model.datasets import Column, Csv, Dataset
from penstock.model.dates import has_times
from penstock.model.streams import ByteStream

_ENCODINGS = {"utf-8": "UTF8", "latin-1": "LATIN1", "windows-1252": "WIN1252"}


def copy_csv(session: Session, stream: ByteStream, dataset: Dataset) -> int:
    """The number of rows loaded. Raises psycopg's errors and UnclearError for what `repair` is to look at.

    A null marker means NULL whether it is quoted or not (FORCE_NULL): the row reader, which the search branch and the
    repair use, can't tell the two apart, and one file must not mean two things.
    """
    columns, chunks = csv_body(stream, dataset)
    if has_times(dataset):
        chunks = without_date_words(chunks, dataset.csv)
    if copy_takes(dataset):
        return _copy(session, copy_statement(dataset, columns), chunks)
    return _copy_by_text(session, dataset, columns, chunks)


def copy_statement(dataset: Dataset, columns: Sequence[Column]) -> sql.Composed:
    """What takes a clean file whose columns are in this order."""
    null = sql.SQL("NULL {}, FORCE_NULL ({})").format(dataset.null_markers[0], names(columns))
    return _statement(landing_of(dataset), columns, _options(dataset.csv, null))


def copy_takes(dataset: Dataset) -> bool:
    """COPY knows one null marker, and none with a delimiter, quote or line end in it."""
    refused = {dataset.csv.delimiter, dataset.csv.quote, "\r", "\n"}
    return len(dataset.null_markers) == 1 and not refused & set(dataset.null_markers[0])


def _copy_by_text(session: Session, dataset: Dataset, columns: Sequence[Column], chunks: Iterator[bytes]) -> int:
    """Several null markers: all columns as text first, then cast by one statement."""
    connection = session.connection
    stage = sql.Identifier("pg_temp", "penstock_text")
    texts = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(column.name)) for column in columns)
    connection.execute(sql.SQL("CREATE TEMPORARY TABLE penstock_text ({}) ON COMMIT DROP").format(texts))
    as_is = sql.SQL("FORCE_NOT_NULL ({})").format(names(columns))
    _copy(session, _statement(stage, columns, _options(dataset.csv, as_is)), chunks)
    markers = sql.SQL(", ").join(map(sql.Literal, dataset.null_markers))
    values = sql.SQL(", ").join(
        sql.SQL("CASE WHEN {0} NOT IN ({1}) THEN {0}::{2} END").format(
            sql.Identifier(column.name), markers, sql_type(column)
        )
        for column in columns
    )
    rows = connection.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(landing_of(dataset), names(columns), values, stage)
    ).rowcount
    connection.execute(sql.SQL("DROP TABLE {}").format(stage))
    return rows


def _options(dialect: Csv, null: sql.Composable) -> sql.Composable:
    return sql.SQL("FORMAT csv, DELIMITER {}, QUOTE {}, ESCAPE {}, ENCODING {}, {}").format(
        dialect.delimiter, dialect.quote, dialect.escape, _ENCODINGS[dialect.encoding], null
    )


def _statement(target: sql.Identifier, columns: Sequence[Column], options: sql.Composable) -> sql.Composed:
    return sql.SQL("COPY {} ({}) FROM STDIN ({})").format(target, names(columns), options)


def _copy(session: Session, statement: sql.Composed, chunks: Iterator[bytes]) -> int:
    with session.connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for chunk in chunks:
                copy.write(chunk)
                session.check()
        return cursor.rowcount
