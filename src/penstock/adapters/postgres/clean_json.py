"""Clean JSON Lines and JSON arrays, by the faster of two ways that are right for the dataset.

orjson and COPY take half of the time of `json_to_record`, but Python would round a number that a `numeric` column keeps
whole, and write one in a `json` or `text` column in its own way. There the database reads the JSON itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
from psycopg import sql

from penstock.adapters.postgres.column_types import names, sql_type
from penstock.adapters.postgres.connection import Session
from penstock.adapters.postgres.csv_body import CHUNK, RowLength, UnclearError, filled
from penstock.adapters.postgres.judge import says_word
from penstock.adapters.postgres.upsert import landing_of
from penstock.model.datasets import Column, ColumnType, Dataset, Format
from penstock.model.dates import TIMES, says_a_word
from penstock.model.rows import rows
from penstock.model.streams import ByteStream

_EXACT = {ColumnType.NUMERIC, ColumnType.JSON}

_MAX_IDENTIFIER = 63
"""Bytes; PostgreSQL cuts a longer one, and `json_to_record` would look for a key that is not there."""

_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


def copy_json(session: Session, stream: ByteStream, dataset: Dataset) -> int:
    """The number of rows loaded. Raises psycopg's errors and UnclearError for what `repair` is to look at.

    A key that is absent or null is NULL; keys that the dataset does not name are passed over.
    """
    if any(column.type in _EXACT for column in dataset.columns):
        return _by_database(session, stream, dataset)
    return _by_orjson(session, stream, dataset)


def _by_orjson(session: Session, stream: ByteStream, dataset: Dataset) -> int:
    texts = [place for place, column in enumerate(dataset.columns) if column.type is ColumnType.TEXT]
    times = [place for place, column in enumerate(dataset.columns) if column.type in TIMES]
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(landing_of(dataset), names(dataset.columns))
    with session.connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            write = copy.write_row
            try:
                for number, row in enumerate(rows(stream, dataset)):
                    values = row.values
                    if row.error:
                        raise UnclearError
                    for place in texts:
                        if type(values[place]) is not str and values[place] is not None:
                            raise UnclearError
                    for place in times:
                        if type(values[place]) is str and says_a_word(values[place]):
                            raise UnclearError
                    write(values)
                    if not number % 1000:
                        session.check()
            except psycopg.Error as error:
                if error.sqlstate is None and not session.connection.broken:
                    raise UnclearError from None  # psycopg's own: a value it can't write, as a NUL or an object.
                raise
        return cursor.rowcount


def _by_database(session: Session, stream: ByteStream, dataset: Dataset) -> int:
    if not _fit_identifiers(dataset):
        raise UnclearError  # `->>` finds NULL in what is no object, where `json_to_record` fails.
    connection = session.connection
    connection.execute("CREATE TEMPORARY TABLE penstock_lines (line text) ON COMMIT DROP")
    if dataset.format is Format.JSON:
        _stage_elements(session, stream, dataset)
    else:
        _stage_lines(session, stream, dataset)
    done = connection.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM pg_temp.penstock_lines, {} WHERE line IS NOT NULL").format(
            landing_of(dataset),
            names(dataset.columns),
            sql.SQL(", ").join(map(_checked, dataset.columns)),
            record(sql.SQL("line"), dataset, typed=True),
        )
    )
    connection.execute("DROP TABLE pg_temp.penstock_lines")
    if not done.rowcount:
        raise UnclearError  # Nothing but white space: the row reader has words for it.
    return done.rowcount


def _stage_lines(session: Session, stream: ByteStream, dataset: Dataset) -> None:
    with (
        session.connection.cursor() as cursor,
        # Control characters, which no JSON holds, as delimiter and quote: a line is one value, as it stands.
        cursor.copy(r"COPY pg_temp.penstock_lines FROM STDIN (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')") as copy,
    ):
        for chunk in _lines(stream, dataset.limits.max_row):
            copy.write(chunk)
            session.check()


def _stage_elements(session: Session, stream: ByteStream, dataset: Dataset) -> None:
    with (
        session.connection.cursor() as cursor,
        cursor.copy("COPY pg_temp.penstock_lines FROM STDIN") as copy,
    ):
        for number, row in enumerate(rows(stream, dataset)):
            if row.error:
                raise UnclearError
            copy.write_row((row.raw,))
            if not number % 1000:
                session.check()


def _checked(column: Column) -> sql.Composable:
    """The record's value; a word such as `today` is refused here, as the text of no date at all would be."""
    value = sql.Identifier("r", column.in_file)
    if column.type not in TIMES:
        return value
    return sql.SQL("(CASE WHEN {} THEN 'no date' ELSE {} END)::{}").format(says_word(value), value, sql_type(column))


def record(text: sql.SQL, dataset: Dataset, *, typed: bool) -> sql.Composable:
    """A FROM item `r` with one column per column of the dataset, from the JSON object in `text`.

    Not `typed`, a column is text: a string's own, or the JSON of anything else. A date is text in any case.
    """
    if not _fit_identifiers(dataset):
        values = sql.SQL(", ").join(_value(text, column) for column in dataset.columns)
        return sql.SQL("LATERAL (SELECT {}) AS r").format(values)
    fields = sql.SQL(", ").join(
        sql.SQL("{} {}").format(
            sql.Identifier(column.in_file),
            sql_type(column) if typed and column.type not in TIMES else _text_type(column),
        )
        for column in dataset.columns
    )
    return sql.SQL("json_to_record({}::json) AS r ({})").format(text, fields)


def _fit_identifiers(dataset: Dataset) -> bool:
    return all(len(column.in_file.encode()) <= _MAX_IDENTIFIER for column in dataset.columns)


def _text_type(column: Column) -> sql.SQL:
    return sql.SQL("json") if column.type is ColumnType.JSON else sql.SQL("text")


def _value(text: sql.SQL, column: Column) -> sql.Composable:
    key = sql.Literal(column.in_file)
    if column.type is ColumnType.JSON:
        return sql.SQL("(CASE WHEN {0}::json ->> {1} IS NOT NULL THEN {0}::json -> {1} END)::text").format(text, key)
    return sql.SQL("{0}::json ->> {1}").format(text, key)


def _lines(stream: ByteStream, max_row: int) -> Iterator[bytes]:
    chunk = filled(stream)
    if not chunk or chunk.startswith(_UTF16_BOMS):
        raise UnclearError
    chunk = chunk.removeprefix(_UTF8_BOM)
    last = b"\n"
    row = RowLength(max_row)
    while chunk:
        row.feed(chunk)
        # A line `\.` would end the data, before PostgreSQL 18.
        if b"\x01" in chunk or b"\x02" in chunk or (b"\\" in chunk and b"\n\\" in last + chunk):
            raise UnclearError
        yield chunk
        last = chunk[-1:]
        chunk = stream.read(CHUNK)
