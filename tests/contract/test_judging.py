"""What `explain` says of a value is what PostgreSQL says; and where it does not say, it says that."""

from __future__ import annotations

import psycopg
import pytest
from tests.conftest import Postgres

from penstock.adapters.postgres import PostgresSchema
from penstock.adapters.postgres.column_types import SQL_TYPES
from penstock.model.datasets import Column, ColumnType
from penstock.model.dates import TIMES, says_a_word
from penstock.model.judging import fault_of

VALUES = (
    *("", " ", "0", "1", "-1", "+7", " 42 ", "1.0", "1.", ".5", ".", "1e3", "1E-400", "1e400", "-1e39", "1e", "0x1F"),
    *(
        "1_000",
        "1__0",
        "\N{ARABIC-INDIC DIGIT ONE}",
        "32767",
        "32768",
        "-32769",
        "2147483648",
        "9223372036854775808",
        "9" * 50,
        "NaN",
        "nan",
    ),
    *("Infinity", "-inf", "+infinity", "--1", "1,5", "t", "T", "tr", "truex", "yes", "ye", "o", "on", "of", "off", "2"),
    *("2013-01-01", "2013-02-30", "2013-13-01", "13-01-01", "2013-1-1", "20130101", "01/02/2013", "Jan 8 1999"),
    *("2013-01-01T05:06", "2013-01-01 05:06:07.123456", "2013-01-01T05:06:07Z", "2013-01-01 05:06:07 +02"),
    *("2013-01-01T24:00:00", "2013-01-01T25:00:00", "2013-01-01T23:59:60", "2013-01-01T05:06:07+25:00", "today"),
    *("now", "infinity", "never", "0000-01-01", "a2b1c4d5-e6f7-4a8b-9c0d-1e2f3a4b5c6d", "null", "{}", "[1,", '"x"'),
    *("{a2b1c4d5-e6f7-4a8b-9c0d-1e2f3a4b5c6d}", "A2B1C4D5E6F74A8B9C0D1E2F3A4B5C6D", "a2b1c4d5", "a2b1-" * 4, "é"),
)


@pytest.fixture(scope="module", params=["postgres", "postgres_15"])
def server(request: pytest.FixtureRequest) -> Postgres:
    found: Postgres = request.getfixturevalue(request.param)
    PostgresSchema(found.owner).apply([])
    return found


@pytest.mark.parametrize("type_", [one for one in ColumnType if one is not ColumnType.TEXT])
def test_a_value_is_judged_as_the_database_judges_it(server: Postgres, type_: ColumnType) -> None:
    column = Column(name="x", type=type_)
    with psycopg.connect(server.owner) as connection:
        connection.execute("SET DateStyle = 'ISO, YMD'")
        answers = connection.execute(
            "SELECT value, penstock.input_error(value, %s) IS NULL FROM unnest(%s::text[]) AS value",
            (SQL_TYPES[type_], list(VALUES)),
        )
        valid = {str(value): bool(fits) and not (type_ in TIMES and says_a_word(value)) for value, fits in answers}

    said = {value: fault_of(column, value) for value in VALUES}

    sure = {value: fault is None for value, fault in said.items() if fault is None or fault.certain}
    assert sure == {value: valid[value] for value in sure}
    assert len(sure) > len(VALUES) * 0.45


def test_a_required_column_takes_no_null() -> None:
    assert fault_of(Column(name="x", type=ColumnType.TEXT), None) is None
    assert fault_of(Column(name="x", type=ColumnType.TEXT, required=True), None)


@pytest.mark.parametrize(
    ("type_", "value", "fits"),
    [
        (ColumnType.INTEGER, 7, True),
        (ColumnType.INTEGER, 7.5, False),
        (ColumnType.INTEGER, True, False),
        (ColumnType.BOOLEAN, True, True),
        (ColumnType.DOUBLE, 7, True),
        (ColumnType.DOUBLE, [1], False),
        (ColumnType.JSON, [1], True),
        (ColumnType.TEXT, {"a": 1}, True),
        (ColumnType.BIGINT, 2**63, False),
        (ColumnType.NUMERIC, 2**200, True),
    ],
)
def test_a_json_value_is_judged_by_its_text(type_: ColumnType, value: object, *, fits: bool) -> None:
    assert (fault_of(Column(name="x", type=type_), value) is None) is fits
