"""Whatever the sample: PostgreSQL takes each value as the type that was inferred, and gives it back unchanged."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.model.datasets import ColumnType, Csv, Format
from penstock.model.inference import infer_columns

if TYPE_CHECKING:
    from tests.conftest import Postgres

SQL_TYPE = {ColumnType.DOUBLE: "double precision"}

NUMBERLIKE = st.from_regex(r"-?[0-9]{1,22}(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
TIMELIKE = st.from_regex(
    r"(000|19|20)[0-9]{1,2}-[01][0-9]-[0-3][0-9]"
    r"([T ][0-2][0-9]:[0-5][0-9](:[0-6][0-9](\.[0-9]{1,7})?)?(Z|[+-][01][0-9]:[0-5][0-9])?)?",
    fullmatch=True,
)
PLAIN = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
VALUES = st.one_of(
    NUMBERLIKE,
    TIMELIKE,
    PLAIN,
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.datetimes().map(str),
    st.uuids().map(str),
    st.sampled_from(["true", "FALSE", "NA", "0", "-0", "00", "1.", ".5", "NaN", "infinity"]),
)
COLUMNS = st.one_of([st.lists(kind, min_size=1, max_size=6) for kind in (NUMBERLIKE, TIMELIKE, VALUES)])


@pytest.fixture(scope="module")
def connection(postgres: Postgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.owner, autocommit=True) as connection:
        yield connection


@settings(max_examples=150, deadline=None)
@given(values=COLUMNS)
def test_postgresql_takes_every_value_of_the_sample_as_the_inferred_type(
    connection: psycopg.Connection, values: list[str]
) -> None:
    sample = io.StringIO()
    csv.writer(sample, quoting=csv.QUOTE_ALL).writerows([["a"], *([value] for value in values)])

    (column,) = infer_columns(sample.getvalue(), Format.CSV, Csv(), ("",))

    type_name = SQL_TYPE.get(column.type, str(column.type))
    rows = connection.execute(
        f"SELECT v, v::{type_name}, v::{type_name}::text FROM unnest(%s::text[]) AS t (v)", [values]
    ).fetchall()
    for text, _, stored in rows:
        if column.type in (ColumnType.INTEGER, ColumnType.BIGINT, ColumnType.TEXT):
            assert stored == text
        elif column.type is ColumnType.NUMERIC:
            assert Decimal(stored) == Decimal(text)
        elif column.type is ColumnType.DOUBLE:
            assert float(stored) == float(text)
