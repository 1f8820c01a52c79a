"""Whatever a CSV file holds, the table holds what Python's csv module reads."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Literal

import psycopg
import pytest
from hypothesis import assume, example, given, reject, settings
from hypothesis import strategies as st
from psycopg import sql
from tests.conftest import Postgres
from tests.contract.warehouses import PostgresKit, dataset_of, load
from tests.fakes.object_store import FakeObjectStore

from penstock.model.outcomes import LoadOutcome, Verdict

Loaded = Callable[[int, str], tuple[LoadOutcome, list[tuple[str, ...]]]]

_COLUMNS = [{"name": name, "type": "text"} for name in ("a", "b", "c")]
_DIALECTS = [
    {"delimiter": delimiter, "quote": quote, "escape": escape or quote}
    for delimiter in (",", ";", "\t", "|")
    for quote in ('"', "'")
    for escape in (None, "\\")
]
_LETTERS = st.characters(codec="utf-8", exclude_characters="\0\ufeff") | st.sampled_from("\"'\\,;\t|\n\r. ab")
_MARKER = "NULL"
_TEXT = st.text(_LETTERS, max_size=8).filter(lambda text: text != _MARKER)
_NUMBERS = itertools.count(1)

_settings = settings(max_examples=100, deadline=None)


@pytest.fixture(scope="module")
def loaded(postgres: Postgres) -> Iterator[Loaded]:
    """Loads a text and gives what became of it, and the table's rows."""
    kit = PostgresKit(postgres.owner, postgres.loader)
    datasets = [
        dataset_of(_COLUMNS, csv={**dialect, "header": False}, null_markers=[_MARKER], max_reject_ratio=0.99)
        for dialect in _DIALECTS
    ]
    for dataset in datasets:
        kit.apply(dataset)

    def load_text(number: int, text: str) -> tuple[LoadOutcome, list[tuple[str, ...]]]:
        dataset = datasets[number]
        assert dataset.table is not None
        table = sql.Identifier(dataset.table.schema_name, dataset.table.name)
        with psycopg.connect(postgres.owner) as connection:
            connection.execute(sql.SQL("TRUNCATE {}").format(table))
        store = FakeObjectStore(bucket=f"bucket-{next(_NUMBERS)}")
        arrival = store.put(f"incoming/{dataset.prefix}a.csv", text.encode())
        outcome = load(kit.warehouse, dataset, store, arrival)[arrival.id]
        return outcome, kit.rows(dataset)

    yield load_text
    kit.close()


def _read(number: int, text: str) -> list[list[str]]:
    """What Python's csv module reads, lines with nothing in them left out."""
    dialect = _DIALECTS[number]
    doubled = dialect["escape"] == dialect["quote"]
    assume("\n" in text or "\r" not in text)
    lines = [line for line in re.split(r"(?<=\n)", text) if line]
    try:
        read = list(
            csv.reader(
                lines,
                delimiter=dialect["delimiter"],
                quotechar=dialect["quote"],
                doublequote=doubled,
                escapechar=None if doubled else dialect["escape"],
            )
        )
    except csv.Error:
        reject()
    return [row for row in read if row]


@_settings
@given(
    number=st.integers(0, len(_DIALECTS) - 1),
    rows=st.lists(st.tuples(_TEXT, _TEXT, _TEXT), min_size=1, max_size=6),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_csv_writes_is_what_the_table_holds(
    loaded: Loaded, number: int, rows: list[tuple[str, str, str]], quoting: Literal[0, 1], end: str
) -> None:
    dialect = _DIALECTS[number]
    doubled = dialect["escape"] == dialect["quote"]
    file = io.StringIO(newline="")
    csv.writer(
        file,
        delimiter=dialect["delimiter"],
        quotechar=dialect["quote"],
        doublequote=doubled,
        escapechar=None if doubled else dialect["escape"],
        quoting=quoting,
        lineterminator=end,
    ).writerows(rows)

    # Not every text comes back from csv either: it writes a lone carriage return without quotes.
    assume(_read(number, file.getvalue()) == [list(row) for row in rows])

    outcome, table = loaded(number, file.getvalue())

    assert outcome == LoadOutcome(Verdict.LOADED, rows=len(rows))
    assert table == rows


@_settings
@given(number=st.integers(0, len(_DIALECTS) - 1), text=st.text(_LETTERS, min_size=1, max_size=40))
@example(number=0, text='a,5" pipe,c\nd,6" pipe,f\n')
@example(number=0, text='a,5"" pipe,c\n')
@example(number=1, text='"a""b",x,y\n')
def test_any_text_is_loaded_as_csv_reads_it_or_refused(loaded: Loaded, number: int, text: str) -> None:
    read = _read(number, text)
    good = [tuple(row) for row in read if len(row) == 3]

    outcome, table = loaded(number, text)

    if outcome.verdict is Verdict.LOADED:
        assert table == good
        assert outcome == LoadOutcome(Verdict.LOADED, rows=len(good), rejects=len(read) - len(good))
    else:
        assert table == []
        assert not good or "never closed" in outcome.reason
