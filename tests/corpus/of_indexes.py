"""What can be wrong with a file of a dataset that has an index alone: the same files, and what the index says of them.

No warehouse judges the values. An index takes some that PostgreSQL does not (`2.0` for an integer), and the other way
round (a number for a date).
"""

# ruff: noqa: E501 - a reason stands on one line, as the operator sees it

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tests.corpus import of_compression, of_csv, of_json, of_text
from tests.corpus.case import Case, Outcome, loads, quarantines

_INDEXES = {"people": "indexed", "clicks": "notes"}
"""The datasets with a table whose files they take."""
_REQUIRED = "column id is required, and it is null here"
_WHOLE = "; write a whole number from -2147483648 to 2147483647"
_NO_INTEGER = f"invalid value for a field of type integer{_WHOLE}"
_NO_TEXT = "invalid value for a field of type text; write a text: one value, in quotes"
_NO_BOOLEAN = "invalid value for a field of type boolean; write true or false"
_TOO_LARGE = f"value is out of range for a field of type integer{_WHOLE}"
_ONE_REQUIRED = loads(1, (2, "id", _REQUIRED))
_ONE_WRONG = loads(1, (2, "id", _NO_INTEGER))

_OTHERWISE: dict[str, Outcome] = {
    "the header again in the middle, as concatenated files have it": loads(2, (3, "id", _NO_INTEGER)),
    "more bad rows than the dataset allows": quarantines(
        f"20 of 21 rows were rejected (18 allowed): line 3, column id: {_NO_INTEGER}. Mend the file, or raise max_reject_ratio of the dataset",
        *((line, "id", _NO_INTEGER) for line in range(3, 23)),
    ),
    "a bad row behind quoted newlines": loads(2, (7, "id", _NO_INTEGER)),
    "SQL in a value that is refused": loads(1, (3, "id", _NO_INTEGER)),
    "an empty value of a required column": loads(1, (3, "id", _REQUIRED)),
    "a quoted empty value of a required column": loads(1, (3, "id", _REQUIRED)),
    "keys in other letters": _ONE_REQUIRED,
    "an empty object": _ONE_REQUIRED,
    "null for a required column": _ONE_REQUIRED,
    "an integer beyond its column": loads(1, (2, "id", _TOO_LARGE)),
    "an integer of 40 digits": loads(1, (2, "id", _TOO_LARGE)),
    "a fraction for an integer": loads(2),
    "a whole number written as a fraction": loads(2),
    "a whole number written with an exponent": loads(2),
    "a text for an integer": _ONE_WRONG,
    "an object for an integer": _ONE_WRONG,
    "a boolean for an integer": _ONE_WRONG,
    "an object for a text": loads(1, (2, "name", _NO_TEXT)),
    "an array for a text": loads(1, (2, "name", _NO_TEXT)),
    "a number for a date": loads(1, (2, "born", "invalid value for a field of type date; write it as 2024-02-29")),
    "a number for a boolean": loads(1, (2, "ok", _NO_BOOLEAN)),
    "a wrong text for a boolean": loads(1, (2, "ok", _NO_BOOLEAN)),
    "the character NUL": loads(2),
    "arrays nested 900 deep for a text": loads(1, (2, "", "a value is nested too deep to be written as JSON; mend it")),
}
"""What differs from the dataset with a table."""


def _of(cases: Iterable[Case]) -> Iterator[Case]:
    for case in cases:
        name = _INDEXES.get(case.dataset)
        # An array is as many values of its field, to an index; the big files are for one reader, which has read them.
        if name is None or "MB" in case.what or case.what == "an array for an integer":
            continue
        outcome = _OTHERWISE.get(case.what, case.outcome)
        named = replace(outcome, reason=outcome.reason.replace(f"dataset {case.dataset}", f"dataset {name}"))
        yield replace(case, what=f"{case.what}: no table", dataset=name, outcome=named)


CASES = tuple(
    _of(
        (
            *(case for case in of_compression.CASES if "gzip" in case.what),
            *of_text.CASES,
            *of_csv.CASES,
            *of_json.CASES,
        )
    )
)
