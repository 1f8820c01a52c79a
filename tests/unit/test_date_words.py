"""Words that PostgreSQL takes for dates are found in a CSV's bytes, wherever they stand and however the bytes come."""

from __future__ import annotations

import pytest

from penstock.adapters.postgres.csv_body import UnclearError
from penstock.adapters.postgres.date_words import without_date_words
from penstock.model.datasets import Csv


def _passes(data: bytes, size: int, dialect: Csv) -> bool:
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    try:
        return b"".join(without_date_words(iter(chunks), dialect)) == data
    except UnclearError:
        return False


@pytest.mark.parametrize("size", [1, 2, 3, 7, 2**18])
@pytest.mark.parametrize(
    "field",
    [
        *("today", "TODAY", " now ", '"yesterday"', "12:00 tomorrow", "tomorrow 12:00", "today\t12:00", "-infinity"),
        *("today 12:00 Europe/Berlin", "today 12:00 PST", "Monday, today", "now BC", "epoch", "2023-01-31 allballs"),
        *("today 12:00 America/Argentina/Buenos_Aires", " " * 500 + "today"),
    ],
)
def test_a_field_that_says_a_word_is_found(field: str, size: int) -> None:
    assert not _passes(f"1,2023-01-31,x\n2,{field},y\n3,,\n".encode(), size, Csv())
    assert not _passes(f"2;{field}".encode(), size, Csv(delimiter=";"))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 2**18])
@pytest.mark.parametrize(
    "field",
    [
        *("nowhere", "Snow", "to day", "not right now", "Today's news", "https://example.org/today/a", "knowledge"),
        *("2023-01-31T12:00:00Z", "Europe/Berlin", "epochs", "an infinity of them", "x" * 3000 + " today"),
    ],
)
def test_what_only_holds_such_a_word_is_let_through(field: str, size: int) -> None:
    assert _passes(f"1,2023-01-31,x\n2,{field},y\n3,,\n".encode(), size, Csv())
