"""What can be wrong with JSON Lines. `clicks` and `events` differ in their columns, and so in the way that they are loaded."""

# ruff: noqa: E501 - a reason stands on one line, as the operator sees it

from __future__ import annotations

from tests.corpus.case import Case, Outcome, loads, quarantines

GOOD = b'{"id": 1, "name": "Ada"}\n'


def both(what: str, file: bytes, clicks: Outcome, events: Outcome | None = None) -> tuple[Case, Case]:
    """The same file for both datasets, with one outcome unless two are named."""
    return (
        Case(what, file, clicks, "clicks"),
        Case(f"{what}, with exact columns", file, events or clicks, "events"),
    )


CASES = (
    *both(
        "a JSON array over several lines",
        b'[\n{"id": 1},\n{"id": 2}\n]\n',
        quarantines(
            "the file is a JSON array over several lines; say format: json in the dataset, or write each object on a line of its own, as `jq -c '.[]'` does"
        ),
    ),
    *both(
        "a JSON array on one line",
        b'[{"id": 1}, {"id": 2}]\n',
        quarantines(
            "1 of 1 rows was rejected (0 allowed): line 1: a JSON object was expected, and this is an array; write each object on a line of its own. Mend the file, or raise max_reject_ratio of the dataset",
            (1, "", "a JSON object was expected, and this is an array; write each object on a line of its own"),
        ),
    ),
    *both(
        "one JSON object over several lines",
        b'{\n  "id": 1\n}\n',
        quarantines(
            "3 of 3 rows were rejected (2 allowed): line 1: no valid JSON at column 2: the line ends before its object does; an object stands on one line. Mend the file, or raise max_reject_ratio of the dataset",
            (1, "", "no valid JSON at column 2: the line ends before its object does; an object stands on one line"),
            (2, "", "no valid JSON at column 7: something stands behind the object; an object has a line of its own"),
            (3, "", "no valid JSON at column 1: unexpected character, expected a JSON value"),
        ),
    ),
    *both(
        "lines that are no objects",
        GOOD + b'7\n"x"\nnull\ntrue\n[1]\n{"id": 2}\n',
        loads(
            2,
            (2, "", "a JSON object was expected, and this is a bare value"),
            (3, "", "a JSON object was expected, and this is a bare value"),
            (4, "", "a JSON object was expected, and this is null"),
            (5, "", "a JSON object was expected, and this is a bare value"),
            (6, "", "a JSON object was expected, and this is an array; write each object on a line of its own"),
        ),
    ),
    *both(
        "two objects on a line",
        GOOD + b'{"id": 2}{"id": 3}\n',
        loads(
            1,
            (2, "", "no valid JSON at column 10: something stands behind the object; an object has a line of its own"),
        ),
    ),
    *both(
        "a line that is cut off",
        GOOD + b'{"id": 2, "na',
        loads(
            1, (2, "", "no valid JSON at column 14: the line ends before its object does; an object stands on one line")
        ),
    ),
    *both(
        "a comma behind the last member",
        GOOD + b'{"id": 2,}\n',
        loads(1, (2, "", "no valid JSON at column 9: trailing comma is not allowed")),
    ),
    *both(
        "single quotes in JSON",
        GOOD + b"{'id': 2}\n",
        loads(1, (2, "", "no valid JSON at column 2: unexpected character, expected a string key")),
    ),
    *both(
        "a comment in JSON",
        GOOD + b"// two\n" + b'{"id": 2}\n',
        loads(2, (2, "", "no valid JSON at column 1: unexpected character, expected a JSON value")),
    ),
    *both("a key twice, the last one counts", b'{"id": 1, "name": "Ada", "id": 2}\n', loads(1)),
    *both("keys that no column names", b'{"id": 1, "more": {"a": [1, 2]}}\n', loads(1)),
    *both(
        "keys in other letters",
        GOOD + b'{"ID": 1}\n',
        loads(
            1,
            (
                2,
                "id",
                "it is null, and the column is required; fill it, or take `required` out of the dataset's column",
            ),
        ),
    ),
    *both(
        "an empty object",
        GOOD + b"{}\n",
        loads(
            1,
            (
                2,
                "id",
                "it is null, and the column is required; fill it, or take `required` out of the dataset's column",
            ),
        ),
    ),
    *both(
        "null for a required column",
        GOOD + b'{"id": null}\n',
        loads(
            1,
            (
                2,
                "id",
                "it is null, and the column is required; fill it, or take `required` out of the dataset's column",
            ),
        ),
    ),
    *both(
        "NaN",
        GOOD + b'{"id": NaN}\n',
        loads(1, (2, "", "no valid JSON at column 8: NaN and Infinity are no JSON; write null")),
    ),
    *both(
        "Infinity",
        GOOD + b'{"id": 2, "name": -Infinity}\n',
        loads(1, (2, "", "no valid JSON at column 20: NaN and Infinity are no JSON; write null")),
    ),
    *both(
        "a number with a leading zero",
        GOOD + b'{"id": 007}\n',
        loads(1, (2, "", "no valid JSON at column 8: number with leading zero is not allowed")),
    ),
    *both(
        "an integer beyond its column",
        GOOD + b'{"id": 3000000000}\n',
        loads(
            1, (2, "id", "value is out of range for type integer; write a whole number from -2147483648 to 2147483647")
        ),
    ),
    *both(
        "an integer of 40 digits",
        GOOD + b'{"id": ' + b"9" * 40 + b"}\n",
        loads(
            1, (2, "id", "value is out of range for type integer; write a whole number from -2147483648 to 2147483647")
        ),
    ),
    *both("a number of exponent 400", GOOD + b'{"id": 2, "sum": 1e400}\n', loads(2)),
    *both("a number of 5,000 digits", GOOD + b'{"id": 2, "sum": ' + b"9" * 5000 + b"}\n", loads(2)),
    *both(
        "a fraction for an integer",
        GOOD + b'{"id": 2.5}\n',
        loads(
            1, (2, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647")
        ),
    ),
    *both(
        "a whole number written as a fraction",
        GOOD + b'{"id": 2.0}\n',
        loads(
            1, (2, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647")
        ),
    ),
    *both(
        "a whole number written with an exponent",
        GOOD + b'{"id": 2e0}\n',
        loads(
            1, (2, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647")
        ),
    ),
    *both("a number in quotes for an integer", GOOD + b'{"id": "2"}\n', loads(2)),
    *both(
        "a text for an integer",
        GOOD + b'{"id": "two"}\n',
        loads(
            1, (2, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647")
        ),
    ),
    *both(
        "an object for an integer",
        GOOD + b'{"id": {"a": 1}}\n',
        loads(
            1, (2, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647")
        ),
    ),
    *both(
        "an array for an integer",
        GOOD + b'{"id": [2]}\n',
        loads(
            1, (2, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647")
        ),
    ),
    *both(
        "a boolean for an integer",
        GOOD + b'{"id": true}\n',
        loads(
            1, (2, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647")
        ),
    ),
    *both("a number for a text", GOOD + b'{"id": 2, "name": 1.50}\n', loads(2)),
    *both("a boolean for a text", GOOD + b'{"id": 2, "name": true}\n', loads(2)),
    *both("an object for a text", GOOD + b'{"id": 2, "name": {"first": "Ada"}}\n', loads(2)),
    *both("an array for a text", GOOD + b'{"id": 2, "name": ["Ada", {"a": 1}]}\n', loads(2)),
    *both("a number for a date", GOOD + b'{"id": 2, "born": 18151210}\n', loads(2)),
    *both("a number for a boolean", GOOD + b'{"id": 2, "ok": 1}\n', loads(2)),
    *both("a text for a boolean", GOOD + b'{"id": 2, "ok": "yes"}\n', loads(2)),
    *both(
        "a wrong text for a boolean",
        GOOD + b'{"id": 2, "ok": "maybe"}\n',
        loads(1, (2, "ok", "invalid input syntax for type boolean; write true or false")),
        loads(2),
    ),
    *both(
        "half of a surrogate pair",
        GOOD + b'{"id": 2, "name": "\\ud800"}\n',
        loads(1, (2, "", "no valid JSON at column 20: half of a surrogate pair, which is no character")),
    ),
    *both("a pair of surrogates", GOOD + b'{"id": 2, "name": "\\ud83d\\ude00"}\n', loads(2)),
    *both(
        "the character NUL",
        GOOD + b'{"id": 2, "name": "A\\u0000a"}\n',
        loads(1, (2, "", "it holds \\u0000, a character that PostgreSQL's text can't; take it out")),
    ),
    *both("a backslash before u0000", GOOD + b'{"id": 2, "name": "A\\\\u0000a"}\n', loads(2)),
    *both(
        "the character NUL where no column is",
        GOOD + b'{"id": 2, "more": "A\\u0000a"}\n',
        loads(2),
        loads(1, (2, "", "it holds \\u0000, a character that PostgreSQL's text can't; take it out")),
    ),
    *both(
        "the character NUL in a key",
        GOOD + b'{"id": 2, "na\\u0000me": 1}\n',
        loads(2),
        loads(1, (2, "", "it holds \\u0000, a character that PostgreSQL's text can't; take it out")),
    ),
    *both(
        "a control character in a text",
        GOOD + b'{"id": 2, "name": "A\x01a"}\n',
        loads(1, (2, "", "no valid JSON at column 21: unexpected control character in string")),
    ),
    *both(
        "a tab in a text",
        GOOD + b'{"id": 2, "name": "A\ta"}\n',
        loads(1, (2, "", "no valid JSON at column 21: unexpected control character in string")),
    ),
    *both(
        "arrays nested 100,000 deep",
        GOOD + b'{"id": 2, "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
        loads(1, (2, "", "no valid JSON at column 1043: it is nested too deep")),
    ),
    *both(
        "objects nested 100,000 deep and never closed",
        GOOD + b'{"a":' * 100_000 + b"\n",
        loads(1, (2, "", "no valid JSON at column 5122: it is nested too deep")),
    ),
    *both(
        "arrays nested 900 deep where no column is",
        GOOD + b'{"id": 2, "more": ' + b"[" * 900 + b"]" * 900 + b"}\n",
        loads(2),
    ),
    *both(
        "arrays nested 900 deep for a text", GOOD + b'{"id": 2, "name": ' + b"[" * 900 + b"]" * 900 + b"}\n", loads(2)
    ),
    Case(
        "arrays nested 900 deep in a column of JSON",
        GOOD + b'{"id": 2, "data": ' + b"[" * 900 + b"]" * 900 + b"}\n",
        loads(2),
        "events",
    ),
    Case(
        "any JSON in a column of JSON",
        b'{"id": 1, "data": {"b": 1, "a": [null, 1.50]}}\n{"id": 2, "data": "x"}\n{"id": 3, "data": null}\n',
        loads(3),
        "events",
    ),
    Case(
        "half of a surrogate pair in a column of JSON",
        GOOD + b'{"id": 2, "data": {"a": "\\ud800"}}\n',
        loads(1, (2, "", "no valid JSON at column 26: half of a surrogate pair, which is no character")),
        "events",
    ),
    Case(
        "the character NUL in a column of JSON",
        GOOD + b'{"id": 2, "data": {"a": "\\u0000"}}\n',
        loads(1, (2, "", "it holds \\u0000, a character that PostgreSQL's text can't; take it out")),
        "events",
    ),
    *both(
        "SQL in values and keys",
        b'{"id": 1, "name": "\'); DROP TABLE corpus.clicks; --", "\'; DROP TABLE corpus.clicks; --": 1}\n',
        loads(1),
    ),
    *both("spaces before the object", b'  {"id": 1}\n\t{"id": 2}\n', loads(2)),
    *both(
        "CSV in place of JSON Lines",
        b"id,name,born\n1,Ada,\n",
        quarantines(
            "2 of 2 rows were rejected (1 allowed): line 1: no valid JSON at column 1: unexpected character, expected a JSON value. Mend the file, or raise max_reject_ratio of the dataset",
            (1, "", "no valid JSON at column 1: unexpected character, expected a JSON value"),
            (2, "", "no valid JSON at column 2: something stands behind the object; an object has a line of its own"),
        ),
    ),
    *both("no line end behind the last object", b'{"id": 1}\n{"id": 2}', loads(2)),
)
