"""Whatever text a CSV file holds, its rows are those of Python's own reader, and nothing of the file is lost."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.model.datasets import Dataset
from penstock.model.errors import BadFileError
from penstock.model.rows import rows

WIDTH = 3
DATASET = Dataset.model_validate(
    {
        "name": "any",
        "prefix": "any/",
        "format": "csv",
        "null_markers": ["\N{BALLOT X}"],
        "columns": [{"name": f"c{number}", "type": "text"} for number in range(WIDTH)],
        "table": "any",
    }
)
HEADER = "c0,c1,c2\n"

texts = st.text(st.characters(exclude_characters="\0\N{BALLOT X}", exclude_categories=["Cs"]), max_size=12)
nasty = st.text('",\r\n a\u2028\x0b\x1c\x85é', max_size=8)
tables = st.lists(st.lists(texts | nasty, min_size=WIDTH, max_size=WIDTH), max_size=8)


class Pieces:
    """A stream that gives as many bytes at a time as it likes."""

    def __init__(self, data: bytes, size: int) -> None:
        self.data = io.BytesIO(data)
        self.size = size

    def read(self, size: int, /) -> bytes:
        return self.data.read(min(size, self.size))


def written(table: list[list[str]], end: str) -> str:
    into = io.StringIO(newline="")
    # Before 3.13 the writer leaves a carriage return bare where it is not its own line end.
    if end == "\n":
        csv.writer(into, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(table)
    else:
        csv.writer(into, lineterminator=end).writerows(table)
    return into.getvalue()


@given(tables, st.sampled_from(["\n", "\r\n"]), st.integers(1, 50))
def test_what_the_csv_module_writes_is_read_back(table: list[list[str]], end: str, piece: int) -> None:
    body = written(table, end)

    found = list(rows(Pieces((HEADER + body).encode(), piece), DATASET))

    assert [list(row.values) for row in found] == table
    assert "".join(row.raw for row in found) == body


@given(tables, st.sampled_from(["\n", "\r\n"]))
def test_a_row_begins_on_the_line_that_it_names(table: list[list[str]], end: str) -> None:
    body = HEADER + written(table, end)

    for row in rows(io.BytesIO(body.encode()), DATASET):
        before = body.split("\n")[: row.line - 1]
        assert body[len("".join(line + "\n" for line in before)) :].startswith(row.raw)


@given(st.text('",\n ab', max_size=60).filter(lambda body: _ends_outside_quotes(body)))
def test_any_text_is_read_as_the_csv_module_reads_it(body: str) -> None:
    expected = [row for row in csv.reader(io.StringIO(body, newline="")) if row]

    found = list(rows(io.BytesIO((HEADER + body).encode()), DATASET))

    assert [list(row.values) for row in found] == [row if len(row) == WIDTH else [] for row in expected]
    assert "".join(row.raw for row in found).replace("\n", "") == body.replace("\n", "")


@given(st.text('",\n ab', max_size=60).filter(lambda body: not _ends_outside_quotes(body)))
def test_a_quote_left_open_is_never_passed_over(body: str) -> None:
    with pytest.raises(BadFileError, match="opens a quote that is never closed"):
        list(rows(io.BytesIO((HEADER + body).encode()), DATASET))


def _ends_outside_quotes(body: str) -> bool:
    """What follows on a line of its own is a row of its own, unless a quote is open."""
    return list(csv.reader(io.StringIO(body + "\nprobe", newline="")))[-1] == ["probe"]
