"""What a text means as a date: the same on every day, in every place (docs/adr/0025).

PostgreSQL reads more than ISO 8601. What it reads in one way only (`Jan 5, 2023`) is no harm. Two things are: numbers
whose order is a matter of custom, which the dataset decides (`date_order`), and words whose date moves or is none.
"""

from __future__ import annotations

import re

from penstock.model.datasets import ColumnType, Dataset, DateOrder

WORDS = ("now", "today", "tomorrow", "yesterday", "infinity", "epoch", "allballs")
"""What PostgreSQL takes for a date and no file means the same by tomorrow, or means at all."""

TIMES = frozenset({ColumnType.DATE, ColumnType.TIMESTAMP, ColumnType.TIMESTAMPTZ})

NO_DATE = "a word such as today or infinity stands where a date should; write the date, as 2024-02-29"

_WORD = re.compile(rf"(?<![a-z])(?:{'|'.join(WORDS)})(?![a-z])", re.IGNORECASE)
_YEAR_FIRST = re.compile(r"\s*(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_YEAR_LAST = re.compile(r"\s*(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(?!\d)")


def has_times(dataset: Dataset) -> bool:
    return any(column.type in TIMES for column in dataset.columns)


def says_a_word(text: str) -> bool:
    """Whether one of `WORDS` stands in what is to be a date."""
    return _WORD.search(text) is not None


def year_first(text: str, order: DateOrder) -> str:
    """The text with its date as ISO 8601 writes it, where its numbers have the order; else as it is."""
    if found := _YEAR_FIRST.match(text):
        year, month, day = found.groups()
    elif order is not DateOrder.YMD and (found := _YEAR_LAST.match(text)):
        month, day, year = found.groups()
        if order is DateOrder.DMY:
            month, day = day, month
    else:
        return text
    return f"{year}-{month:>02}-{day:>02}{text[found.end() :]}"


def example(type_: ColumnType, order: DateOrder) -> str:
    """A date as the dataset's files may write it."""
    time = {ColumnType.TIMESTAMP: "T13:30:00", ColumnType.TIMESTAMPTZ: "T13:30:00Z"}.get(type_, "")
    other = {DateOrder.MDY: "02/29/2024", DateOrder.DMY: "29/02/2024"}.get(order)
    return f"2024-02-29{time}" + (f" or {other}{time.replace('T', ' ')}" if other else "")
