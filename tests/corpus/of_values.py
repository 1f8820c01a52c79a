"""Values that a column's type does not take, and those at its edge that it does."""

from __future__ import annotations

from tests.corpus.case import Case, Outcome, loads, quarantines
from tests.corpus.datasets import typed


def values(what: str, column: str, some: tuple[str, ...], outcome: Outcome) -> Case:
    return Case(what, typed(column, *some), outcome, "types")


CASES = (
    values(
        "smallint: its bounds, and beyond",
        "small",
        ("-32768", "32767", "-32769", "32768"),
        loads(
            2,
            (4, "small", "value is out of range for type smallint"),
            (5, "small", "value is out of range for type smallint"),
        ),
    ),
    values(
        "integer: its bounds, and beyond",
        "whole",
        ("-2147483648", "2147483647", "2147483648"),
        loads(2, (4, "whole", "value is out of range for type integer")),
    ),
    values(
        "bigint: its bounds, and beyond",
        "big",
        ("-9223372036854775808", "9223372036854775807", "9223372036854775808"),
        loads(2, (4, "big", "value is out of range for type bigint")),
    ),
    values("integers written in other ways", "whole", ("7", " 7", "7 ", "+7", "007", "-0"), loads(6)),
    values(
        "integers that are none",
        "whole",
        ("7", "7.0", "1e3", "1,000", "0x1F", "1_000", "٣", "seven", "NaN", "7;DROP"),
        loads(
            3,
            (3, "whole", "invalid input syntax for type integer"),
            (4, "whole", "invalid input syntax for type integer"),
            (5, "whole", "invalid input syntax for type integer"),
            (8, "whole", "invalid input syntax for type integer"),
            (9, "whole", "invalid input syntax for type integer"),
            (10, "whole", "invalid input syntax for type integer"),
            (11, "whole", "invalid input syntax for type integer"),
        ),
    ),
    values(
        "numeric: any digits",
        "exact",
        ("0.1000", "12345678901234567890.123456789", "1e400", "-.5", "1" * 2000),
        loads(5),
    ),
    values(
        "numeric that is none",
        "exact",
        ("1", "NaN", "Infinity", "1,5", "abc", "1e200000", "1e"),
        loads(
            3,
            (5, "exact", "invalid input syntax for type numeric"),
            (6, "exact", "invalid input syntax for type numeric"),
            (7, "exact", "value overflows numeric format"),
            (8, "exact", "invalid input syntax for type numeric"),
        ),
    ),
    values(
        "real: out of range",
        "single",
        ("1.5", "1e39", "1e-50", "NaN", "-Infinity", "abc"),
        loads(
            3,
            (3, "single", "value is out of range for type real"),
            (4, "single", "value is out of range for type real"),
            (7, "single", "invalid input syntax for type real"),
        ),
    ),
    values(
        "double: out of range",
        "double",
        ("1.5", "1e308", "1e309", "1e-400", "NaN", "inf", "abc", "1.5.2"),
        loads(
            4,
            (4, "double", "value is out of range for type double precision"),
            (5, "double", "value is out of range for type double precision"),
            (8, "double", "invalid input syntax for type double precision"),
            (9, "double", "invalid input syntax for type double precision"),
        ),
    ),
    values(
        "booleans",
        "flag",
        ("true", "f", "YES", "no", "on", "0", "tr", " t ", "2", "maybe", "truee"),
        loads(
            8,
            (10, "flag", "invalid input syntax for type boolean"),
            (11, "flag", "invalid input syntax for type boolean"),
            (12, "flag", "invalid input syntax for type boolean"),
        ),
    ),
    values(
        "dates that do not exist",
        "day",
        ("2024-02-29", "2023-02-29", "2023-02-30", "2023-13-01", "0000-00-00", "2023-00-10"),
        loads(
            1,
            (3, "day", "date/time field value out of range"),
            (4, "day", "date/time field value out of range"),
            (5, "day", "date/time field value out of range"),
            (6, "day", "date/time field value out of range"),
            (7, "day", "date/time field value out of range"),
        ),
    ),
    values(
        "dates written in other ways",
        "day",
        ("2023-01-31", "20230131", "2023-1-5", "Jan 5, 2023", "5 January 2023"),
        loads(5),
    ),
    values(
        "dates that read in two ways",
        "day",
        ("2023-01-31", "01/02/2023", "13/02/2023"),
        loads(2, (4, "day", "date/time field value out of range")),
    ),
    values("dates that depend on today", "day", ("2023-01-31", "today", "now", "yesterday"), loads(4)),
    values(
        "dates without an end, or long ago",
        "day",
        ("2023-01-31", "infinity", "0044-03-15 BC", "12023-01-01", "9999999-01-01"),
        loads(4, (6, "day", "date out of range")),
    ),
    values(
        "times of day that do not exist",
        "local",
        (
            "2023-01-31 23:59:59",
            "2023-01-31 24:00:00",
            "2023-01-31 25:00:00",
            "2023-01-31 12:60",
            "2023-01-31 23:59:60",
            "not a time",
        ),
        loads(
            3,
            (4, "local", "date/time field value out of range"),
            (5, "local", "date/time field value out of range"),
            (7, "local", "invalid input syntax for type timestamp"),
        ),
    ),
    values(
        "timestamps with a zone in a column without",
        "local",
        ("2023-01-31T12:00:00Z", "2023-01-31T12:00:00+02:00", "2023-01-31 12:00:00.123456789"),
        loads(3),
    ),
    values(
        "timestamps with odd zones",
        "moment",
        (
            "2023-01-31T12:00:00Z",
            "2023-01-31 12:00:00+05:30",
            "2023-01-31 12:00:00+14",
            "2023-01-31 12:00:00 Europe/Berlin",
            "2023-01-31 12:00:00 PST",
            "2023-01-31 12:00:00+25:00",
            "2023-01-31 12:00:00 Mars/Olympus",
            "1675166400",
        ),
        loads(
            5,
            (7, "moment", "time zone displacement out of range"),
            (8, "moment", "time zone not recognized"),
            (9, "moment", "date/time field value out of range"),
        ),
    ),
    values(
        "timestamps with a comma, or nine digits",
        "moment",
        ("2023-01-31T12:00:00,5Z", "2023-01-31T12:00:00.123456789Z"),
        loads(1, (2, "moment", "invalid input syntax for type timestamp with time zone")),
    ),
    values(
        "UUIDs",
        "uid",
        (
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC999C0B4EF8BB6D6BB9BD380A11",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
            "a0eebc99",
            "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ),
        loads(3, (5, "uid", "invalid input syntax for type uuid"), (6, "uid", "invalid input syntax for type uuid")),
    ),
    values(
        "JSON in a CSV",
        "doc",
        (
            '{"a": 1}',
            "[1, 2]",
            '"x"',
            "null",
            "{a: 1}",
            '{"a": NaN}',
            '{"a": "\\u0000"}',
            '{"a": "\\ud800"}',
            "[" * 300 + "]" * 300,
            "[" * 20000 + "]" * 20000,
        ),
        quarantines("a row holds JSON that is nested too deep to be read. Mend the file"),
    ),
    values(
        "texts of any kind",
        "words",
        ("e\u0301 \u00e9", "\U0001f600", "\u202eabc", "\ufffe\uffff", "\ufeffx", "x" * 40_000),
        loads(6),
    ),
)
