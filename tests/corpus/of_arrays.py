"""What can be wrong with a JSON array. `lists` and `arrays` differ in their columns, and so in the way that they are loaded."""

# ruff: noqa: E501 - a reason stands on one line, as the operator sees it

from __future__ import annotations

from tests.corpus.case import Case, Outcome, loads, quarantines


def both(what: str, file: bytes, lists: Outcome, arrays: Outcome | None = None) -> tuple[Case, Case]:
    """The same file for both datasets, with one outcome unless two are named."""
    return (
        Case(f"array: {what}", file, lists, "lists"),
        Case(f"array: {what}, with exact columns", file, arrays or lists, "arrays"),
    )


NOT_TOLD_APART = "what follows can't be told apart into rows. Mend the file and send it again"
ENDS_EARLY = quarantines("the JSON array ends early: the upload was cut off; send the file again")

CASES = (
    *both("on one line", b'[{"id": 1}, {"id": 2}]', loads(2)),
    *both("an element a line", b'[\n{"id": 1},\n{"id": 2}\n]\n', loads(2)),
    *both("elements over several lines", b'[\r\n  {\r\n    "id": 1\r\n  },\r\n  {"id":\r\n2}\r\n]\r\n', loads(2)),
    *both("with a byte order mark", b'\xef\xbb\xbf[{"id": 1}]', loads(1)),
    *both("brackets, braces and quotes in a text", b'[{"id": 1, "name": "]}\\"[{,"}, {"id": 2}]', loads(2)),
    *both("of nothing", b"[]\n", loads(0)),
    *both(
        "of white space",
        b" \n",
        quarantines("the file holds nothing but white space; send it again if it should hold rows"),
    ),
    *both("an empty file", b"", quarantines("the file is empty; send it again if it should hold rows")),
    *both(
        "elements that are no objects",
        b'[{"id": 1},\n7,\n"x",\nnull,\n[1],\n{"id": 2}]',
        loads(
            2,
            (2, "", "a JSON object was expected, and this is a bare value"),
            (3, "", "a JSON object was expected, and this is a bare value"),
            (4, "", "a JSON object was expected, and this is null"),
            (5, "", "a JSON object was expected, and this is an array"),
        ),
    ),
    *both("keys that no column names", b'[{"id": 1, "more": {"a": [1, 2]}}]', loads(1)),
    *both(
        "null for a required column",
        b'[{"id": 1},\n{"id": null}]',
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
        "a text for an integer",
        b'[{"id": 1},\n{"id": "two"}]',
        loads(
            1, (2, "id", "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647")
        ),
    ),
    *both("a number of 5,000 digits", b'[{"id": 1, "sum": ' + b"9" * 5000 + b"}]", loads(1)),
    *both(
        "NaN",
        b'[{"id": 1},\n{"id": NaN}]',
        loads(1, (2, "", "no valid JSON at character 8 of the element: NaN and Infinity are no JSON; write null")),
    ),
    *both(
        "a control character in a text",
        b'[{"id": 1},\n{"id": 2, "name": "A\x01a"}]',
        loads(1, (2, "", "no valid JSON at character 21 of the element: unexpected control character in string")),
    ),
    *both(
        "half of a surrogate pair",
        b'[{"id": 1},\n{"id": 2, "name": "\\ud800"}]',
        loads(
            1, (2, "", "no valid JSON at character 20 of the element: half of a surrogate pair, which is no character")
        ),
    ),
    *both(
        "the character NUL",
        b'[{"id": 1},\n{"id": 2, "name": "A\\u0000a"}]',
        loads(1, (2, "", "it holds \\u0000, a character that PostgreSQL's text can't; take it out")),
    ),
    *both("cut off between elements", b'[{"id": 1},\n', ENDS_EARLY),
    *both("cut off in an element", b'[{"id": 1},\n{"id": 2, "na', ENDS_EARLY),
    *both("cut off in a word", b'[{"id": 1, "ok": tru', ENDS_EARLY),
    *both("cut off in an escape", b'[{"id": 1, "name": "\\u00', ENDS_EARLY),
    *both("without its end", b'[{"id": 1}', ENDS_EARLY),
    *both("nothing but its beginning", b"[", ENDS_EARLY),
    *both(
        "a comma behind the last element",
        b'[{"id": 1},\n]',
        quarantines(f"no valid JSON on line 2: a value was expected; {NOT_TOLD_APART}"),
    ),
    *both(
        "a comma missing",
        b'[{"id": 1}\n{"id": 2}]',
        quarantines(f"no valid JSON on line 2: a comma was expected; {NOT_TOLD_APART}"),
    ),
    *both(
        "a colon missing",
        b'[{"id": 1},\n{"id" 2}]',
        quarantines(f"no valid JSON on line 2: a colon was expected; {NOT_TOLD_APART}"),
    ),
    *both(
        "single quotes",
        b"[{'id': 1}, {'id': 2}, {'id': 3}]",
        quarantines(f"no valid JSON on line 1: a name in double quotes was expected; {NOT_TOLD_APART}"),
    ),
    *both(
        "two arrays in a file",
        b'[{"id": 1}]\n[{"id": 2}]\n',
        quarantines("something stands behind the JSON array, on line 2; send one array in a file"),
    ),
    *both(
        "JSON Lines in its place",
        b'{"id": 1}\n{"id": 2}\n',
        quarantines(
            "a JSON array was expected, and the file does not begin with one; write the objects as an array, or say format: jsonl where each stands on a line of its own"
        ),
    ),
    *both(
        "a byte that is not UTF-8",
        b'[{"id": 1},\n{"id": 2, "name": "\xff"}]',
        quarantines("line 2 holds a byte (0xff) that is not utf-8; mend the file"),
    ),
    *both(
        "a NUL byte",
        b'[{"id": 1},\n{"id": 2, "name": "\0"}]',
        quarantines("there is a NUL byte on line 2: it is no text file, or one in UTF-16; write it as UTF-8"),
    ),
    *both(
        "arrays nested 100,000 deep",
        b'[{"id": 1},\n{"id": 2, "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
        quarantines("the row that begins on line 2 is nested too deep to be read; mend the file"),
    ),
    Case(
        "array: an element longer than limits: max_row",
        lambda: b'[{"id": 1},\n{"id": 2, "name": "' + b"A" * 2**21 + b'"}]',
        quarantines(
            "the row that begins on line 2 is longer than 1 MiB. Mend the file, or raise limits: max_row of the dataset"
        ),
        "short",
    ),
)
