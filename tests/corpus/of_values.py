"""Values that a column's type does not take, and those at its edge that it does."""

# ruff: noqa: E501 - a reason stands on one line, as the operator sees it

from __future__ import annotations

from tests.corpus.case import Case, Outcome, loads
from tests.corpus.datasets import typed

DAY = "write it as 2024-02-29"
LOCAL = "write it as 2024-02-29T13:30:00"
MOMENT = "write it as 2024-02-29T13:30:00Z"
NO_DATE = "a word such as today or infinity stands where a date should; write the date, as 2024-02-29"
TOO_DEEP = "the JSON is nested too deep; write it flatter, or make the column text"


def values(what: str, column: str, some: tuple[str, ...], outcome: Outcome) -> Case:
    return Case(what, typed(column, *some), outcome, "types")


CASES = (
    values(
        "smallint: its bounds, and beyond",
        "small",
        ("-32768", "32767", "-32769", "32768"),
        loads(
            2,
            (4, "small", "value is out of range for type smallint; write a whole number from -32768 to 32767"),
            (5, "small", "value is out of range for type smallint; write a whole number from -32768 to 32767"),
        ),
    ),
    values(
        "integer: its bounds, and beyond",
        "whole",
        ("-2147483648", "2147483647", "2147483648"),
        loads(
            2,
            (4, "whole", "value is out of range for type integer; write a whole number from -2147483648 to 2147483647"),
        ),
    ),
    values(
        "bigint: its bounds, and beyond",
        "big",
        ("-9223372036854775808", "9223372036854775807", "9223372036854775808"),
        loads(
            2,
            (
                4,
                "big",
                "value is out of range for type bigint; write a whole number from -9223372036854775808 to 9223372036854775807",
            ),
        ),
    ),
    values("integers written in other ways", "whole", ("7", " 7", "7 ", "+7", "007", "-0"), loads(6)),
    values(
        "integers that are none",
        "whole",
        ("7", "7.0", "1e3", "1,000", "0x1F", "1_000", "٣", "seven", "NaN", "7;DROP"),
        loads(
            3,
            (3, "whole", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (4, "whole", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (5, "whole", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (8, "whole", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (9, "whole", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (10, "whole", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
            (11, "whole", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647"),
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
            (5, "exact", "invalid input syntax for type numeric; write a number, as -12.5"),
            (6, "exact", "invalid input syntax for type numeric; write a number, as -12.5"),
            (7, "exact", "value overflows numeric format; write a number, as -12.5"),
            (8, "exact", "invalid input syntax for type numeric; write a number, as -12.5"),
        ),
    ),
    values(
        "real: out of range",
        "single",
        ("1.5", "1e39", "1e-50", "NaN", "-Infinity", "abc"),
        loads(
            3,
            (3, "single", "value is out of range for type real; write a number, as -12.5"),
            (4, "single", "value is out of range for type real; write a number, as -12.5"),
            (7, "single", "invalid input syntax for type real; write a number, as -12.5"),
        ),
    ),
    values(
        "double: out of range",
        "double",
        ("1.5", "1e308", "1e309", "1e-400", "NaN", "inf", "abc", "1.5.2"),
        loads(
            4,
            (4, "double", "value is out of range for type double precision; write a number, as -12.5"),
            (5, "double", "value is out of range for type double precision; write a number, as -12.5"),
            (8, "double", "invalid input syntax for type double precision; write a number, as -12.5"),
            (9, "double", "invalid input syntax for type double precision; write a number, as -12.5"),
        ),
    ),
    values(
        "booleans",
        "flag",
        ("true", "f", "YES", "no", "on", "0", "tr", " t ", "2", "maybe", "truee"),
        loads(
            8,
            (10, "flag", "invalid input syntax for type boolean; write true or false"),
            (11, "flag", "invalid input syntax for type boolean; write true or false"),
            (12, "flag", "invalid input syntax for type boolean; write true or false"),
        ),
    ),
    values(
        "dates that do not exist",
        "day",
        ("2024-02-29", "2023-02-29", "2023-02-30", "2023-13-01", "0000-00-00", "2023-00-10"),
        loads(
            1,
            (3, "day", f"date/time field value out of range; {DAY}"),
            (4, "day", f"date/time field value out of range; {DAY}"),
            (5, "day", f"date/time field value out of range; {DAY}"),
            (6, "day", f"date/time field value out of range; {DAY}"),
            (7, "day", f"date/time field value out of range; {DAY}"),
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
        loads(
            1,
            (3, "day", f"date/time field value out of range; {DAY}"),
            (4, "day", f"date/time field value out of range; {DAY}"),
        ),
    ),
    values(
        "dates that depend on today",
        "day",
        (
            "2023-01-31",
            "today",
            " NOW ",
            "yesterday 12:00",
            "12:00, tomorrow",
            "today 12:00 Europe/Berlin",
            "Mon today",
        ),
        loads(1, *((line, "day", NO_DATE) for line in range(3, 9))),
    ),
    values(
        "moments that depend on today",
        "moment",
        ("2023-01-31T12:00:00Z", "now", "today", "Tomorrow 12:00 PST"),
        loads(1, *((line, "moment", NO_DATE) for line in range(3, 6))),
    ),
    values(
        "dates that are none",
        "day",
        ("2023-01-31", "infinity", "-Infinity", "epoch", "9999999-01-01"),
        loads(1, *((line, "day", NO_DATE) for line in range(3, 6)), (6, "day", f"date out of range; {DAY}")),
    ),
    values("dates of long ago, and far ahead", "day", ("0044-03-15 BC", "12023-01-01"), loads(2)),
    Case(
        "texts that say today beside dates",
        typed("words", "today", "Now, at last", "https://example.org/today", "nowhere"),
        loads(4),
        "types",
    ),
    *(
        Case(
            f"dates that depend on today in JSON{with_}",
            b'{"id": 1, "born": "2023-01-31"}\n{"id": 2, "born": "today"}\n{"id": 3, "born": "\\u0074oday"}\n',
            loads(1, (2, "born", NO_DATE), (3, "born", NO_DATE)),
            dataset,
        )
        for dataset, with_ in (("clicks", ""), ("events", ", with exact columns"))
    ),
    Case(
        "dates of the order that the dataset says: month, day, year",
        b"id,name,born\n1,Ada,01/02/2023\n2,,2023-01-02\n3,,13/02/2023\n4,,1/2/2023\n",
        loads(3, (4, "born", f"date/time field value out of range; {DAY} or 02/29/2024")),
        "american",
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
            (4, "local", f"date/time field value out of range; {LOCAL}"),
            (5, "local", f"date/time field value out of range; {LOCAL}"),
            (7, "local", f"invalid input syntax for type timestamp; {LOCAL}"),
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
            (7, "moment", f"time zone displacement out of range; {MOMENT}"),
            (8, "moment", f"time zone not recognized; {MOMENT}"),
            (9, "moment", f"date/time field value out of range; {MOMENT}"),
        ),
    ),
    values(
        "timestamps with a comma, or nine digits",
        "moment",
        ("2023-01-31T12:00:00,5Z", "2023-01-31T12:00:00.123456789Z"),
        loads(1, (2, "moment", f"invalid input syntax for type timestamp with time zone; {MOMENT}")),
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
        loads(
            3,
            (5, "uid", "invalid input syntax for type uuid; write it as 123e4567-e89b-12d3-a456-426614174000"),
            (6, "uid", "invalid input syntax for type uuid; write it as 123e4567-e89b-12d3-a456-426614174000"),
        ),
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
        loads(
            5,
            *(
                (line, "doc", "invalid input syntax for type json; write valid JSON, or make the column text")
                for line in (6, 7)
            ),
            (8, "doc", "unsupported Unicode escape sequence; write valid JSON, or make the column text"),
            (9, "doc", "invalid input syntax for type json; write valid JSON, or make the column text"),
            (11, "doc", TOO_DEEP),
        ),
    ),
    values(
        "texts of any kind",
        "words",
        ("e\u0301 \u00e9", "\U0001f600", "\u202eabc", "\ufffe\uffff", "\ufeffx", "x" * 40_000),
        loads(6),
    ),
)
