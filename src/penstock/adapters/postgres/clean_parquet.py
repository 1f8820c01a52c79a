"""A Parquet file: turned into CSV by pyarrow on its way to COPY, a piece at a time, with no Python per row."""

from __future__ import annotations

from psycopg import sql

from penstock.adapters.postgres.column_types import names
from penstock.adapters.postgres.connection import Session
from penstock.adapters.postgres.csv_body import UnclearError
from penstock.adapters.postgres.date_words import without_date_words
from penstock.adapters.postgres.upsert import landing_of
from penstock.model.datasets import Csv, Dataset
from penstock.model.dates import has_times
from penstock.model.parquet import parquet_csv
from penstock.model.streams import ByteStream


def copy_parquet(session: Session, stream: ByteStream, dataset: Dataset) -> int:
    """The number of rows loaded. Raises psycopg's errors and UnclearError for what `repair` is to look at."""
    chunks = parquet_csv(stream, dataset)
    if has_times(dataset):  # One that is a text in the file may say `today`.
        chunks = without_date_words(chunks, Csv())
    with session.connection.cursor() as cursor:
        with cursor.copy(parquet_statement(dataset)) as copy:
            for chunk in chunks:
                # A line `\.` would end the data, before PostgreSQL 18. No chunk begins with one: rows do not.
                if b"\\." in chunk and (b"\n\\." in chunk or b"\r\\." in chunk):
                    raise UnclearError
                copy.write(chunk)
                session.check()
        return cursor.rowcount


def parquet_statement(dataset: Dataset) -> sql.Composed:
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, NULL '', ENCODING UTF8)").format(
        landing_of(dataset), names(dataset.columns)
    )
