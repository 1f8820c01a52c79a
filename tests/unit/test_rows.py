from __future__ import annotations

import io
from typing import Any

import pytest

from penstock.model import first_bytes, text_lines
from penstock.model.datasets import Dataset
from penstock.model.errors import BadFileError, TransientError
from penstock.model.rows import Row, header_columns, rows


def dataset(**changes: Any) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "people",
            "prefix": "people/",
            "format": "csv",
            "columns": [{"name": "id", "type": "integer"}, {"name": "name", "type": "text", "source": "Full Name"}],
            "table": "people",
            **changes,
        }
    )


def read(data: bytes, **changes: Any) -> list[Row]:
    return list(rows(io.BytesIO(data), dataset(**changes)))


def values(data: bytes, **changes: Any) -> list[tuple[Any, ...]]:
    return [row.values for row in read(data, **changes)]


class Dripping:
    """A stream that gives a byte at a time, as a slow connection may."""

    def __init__(self, data: bytes) -> None:
        self.data = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self.data.read(min(size, 1))


def test_a_row_has_its_values_its_line_and_its_text() -> None:
    found = read(b"id,Full Name\n1,Ada\n2,Grace\n")

    assert found == [Row(2, "1,Ada\n", ("1", "Ada")), Row(3, "2,Grace\n", ("2", "Grace"))]


def test_a_header_in_another_order_gives_the_datasets_order() -> None:
    assert values(b"Full Name,id\nAda,1\n") == [("1", "Ada")]


def test_a_file_without_a_header_has_the_datasets_order_and_begins_on_line_one() -> None:
    assert read(b"1,Ada\n", csv={"header": False}) == [Row(1, "1,Ada\n", ("1", "Ada"))]


def test_null_markers_are_null_and_nothing_else_is() -> None:
    assert values(b"id,Full Name\nNA,-\n,NA \n", null_markers=["NA", "-"]) == [(None, None), ("", "NA ")]


def test_quotes_may_hold_line_ends_and_the_next_row_knows_its_line() -> None:
    found = read(b'id,Full Name\r\n1,"Ada\nLovelace\r\nCountess"\r\n2,"Grace ""Amazing"""\r\n')

    assert found[0] == Row(2, '1,"Ada\nLovelace\r\nCountess"\r\n', ("1", "Ada\nLovelace\r\nCountess"))
    assert found[1] == Row(5, '2,"Grace ""Amazing"""\r\n', ("2", 'Grace "Amazing"'))


def test_a_dialect_may_have_its_own_delimiter_quote_and_escape() -> None:
    assert values(b"id|Full Name\n1|'O\\'Brien|x'\n", csv={"delimiter": "|", "quote": "'", "escape": "\\"}) == [
        ("1", "O'Brien|x")
    ]


def test_the_last_line_needs_no_end() -> None:
    assert read(b"id,Full Name\n1,Ada") == [Row(2, "1,Ada", ("1", "Ada"))]


def test_empty_lines_are_no_rows_and_are_counted_as_lines() -> None:
    assert [(row.line, row.values) for row in read(b"id,Full Name\n\n1,Ada\n\r\n2,Grace\n\n")] == [
        (3, ("1", "Ada")),
        (5, ("2", "Grace")),
    ]


def test_an_empty_line_of_a_file_with_one_column_is_an_empty_value() -> None:
    one = [{"name": "id", "type": "text"}]

    assert values(b"id\na\n\nb\n", columns=one) == [("a",), (None,), ("b",)]


def test_a_file_with_the_line_ends_of_an_old_mac_is_read() -> None:
    assert [(row.line, row.values) for row in read(b"id,Full Name\r1,Ada\r2,Grace\r")] == [
        (2, ("1", "Ada")),
        (3, ("2", "Grace")),
    ]


def test_a_byte_order_mark_is_no_part_of_the_header() -> None:
    assert values(b"\xef\xbb\xbfid,Full Name\n1,Ada\n") == [("1", "Ada")]


@pytest.mark.parametrize(
    ("encoding", "data"), [("latin-1", b"\xe9"), ("windows-1252", b"\x80"), ("utf-8", b"\xc3\xa9")]
)
def test_the_dialects_encoding_is_used(encoding: str, data: bytes) -> None:
    found = values(b"id,Full Name\n1," + data + b"\n", csv={"encoding": encoding})

    assert found == [("1", data.decode(encoding))]


@pytest.mark.parametrize("text", ["1,Ada,x\n", "1\n"])
def test_a_row_with_too_many_or_too_few_columns_is_an_error_and_its_neighbours_are_not(text: str) -> None:
    found = read(f"id,Full Name\n0,a\n{text}2,b\n".encode())

    assert [row.values for row in found] == [("0", "a"), (), ("2", "b")]
    assert found[1].line == 3
    assert found[1].raw == text
    assert (
        found[1].error
        == {1: "1 column", 3: "3 columns"}[text.count(",") + 1]
        + " where 2 were expected; quote what holds a delimiter or a line end"
    )


def test_a_carriage_return_outside_quotes_is_an_error_of_its_row_alone() -> None:
    found = read(b"id,Full Name\n1,Ada\rx\n2,b\n")

    assert [(row.line, row.error) for row in found] == [
        (2, "there is a carriage return outside quotes; quote the value, or end lines with LF or CRLF"),
        (3, ""),
    ]


def test_a_stream_that_drips_is_read_as_well() -> None:
    data = 'id,Full Name\n1,"é\n\U0001f600"\n2,x'.encode()

    assert list(rows(Dripping(data), dataset())) == read(data)


def test_rows_longer_than_a_block_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_lines, "BLOCK", 7)
    monkeypatch.setattr(first_bytes, "BLOCK", 7)

    assert values('id,Full Name\n1,"é long name\nover lines"\n2,ü\n'.encode()) == [
        ("1", "é long name\nover lines"),
        ("2", "ü"),
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"id,name\n1,Ada\n", "the header changed: column Full Name is missing; column name is not in the dataset"),
        (b"id,Full Name,id\n", "column id is there twice"),
        (b"1,Ada\n2,Grace\n", "is the header missing"),
        (b"id,Full Name\n1,Ada\n2,\xff\n", "line 3 holds a byte (0xff) that is not utf-8"),
        (b"id,Full Name\n1,Ada\n2,\0\n", "a NUL byte on line 3"),
        ("id,Full Name\n".encode("utf-16"), "the file is UTF-16"),
        (b'id,Full Name\n1,Ada\n2,"Grace\n3,x\n', "the row that begins on line 3 opens a quote that is never closed"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(BadFileError) as refused:
        read(data)

    assert reason in str(refused.value)


def test_a_first_row_taken_for_a_header_is_not_shown() -> None:
    with pytest.raises(BadFileError) as refused:
        read(b"1,Secret\n")

    assert "Secret" not in str(refused.value)


@pytest.mark.parametrize(
    "data", [b"1," + b"x" * 3_000_000, b'1,"' + b"x\n" * 1_500_000], ids=["one line", "an open quote"]
)
def test_a_row_longer_than_the_limit_ends_the_file_in_bounded_memory(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_lines, "BLOCK", 2**16)
    monkeypatch.setattr(first_bytes, "BLOCK", 2**16)
    stream = io.BytesIO(b"id,Full Name\n" + data + b"x" * 1_000_000)

    with pytest.raises(BadFileError, match="the row that begins on line 2 is longer than"):
        list(rows(stream, dataset(limits={"max_row": "1 MiB"})))

    assert stream.tell() < 1_500_000


def test_an_error_of_the_stream_goes_through() -> None:
    class Broken:
        def read(self, _size: int, /) -> bytes:
            raise TransientError("the connection was dropped")

    with pytest.raises(TransientError):
        list(rows(Broken(), dataset()))


def test_json_lines_give_json_values_and_null_for_a_missing_key() -> None:
    found = read(b'{"Full Name": "Ada", "id": 1, "more": []}\n{"id": [true]}\n', format="jsonl")

    assert found[0] == Row(1, '{"Full Name": "Ada", "id": 1, "more": []}\n', (1, "Ada"))
    assert found[1].values == ([True], None)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b'{"id": 1', "no valid JSON at column 9"),
        (b"[1, 2]", "a JSON object was expected, and this is an array"),
        (b"null", "a JSON object was expected, and this is null"),
        (b'{"id": NaN}', "no valid JSON"),
        (b'{"id": "\\ud800"}', "no valid JSON"),
        (b"[" * 5000 + b"]" * 5000, "no valid JSON"),
    ],
)
def test_a_broken_line_of_json_is_an_error_and_its_neighbours_are_not(line: bytes, error: str) -> None:
    found = read(b'{"id": 0}\n' + line + b'\n\n{"id": 2}\r\n', format="jsonl")

    assert [(row.line, row.values) for row in found] == [(1, (0, None)), (2, ()), (4, (2, None))]
    assert error in found[1].error


def test_a_broken_row_does_not_show_in_its_error() -> None:
    (row,) = read(b'{"id": secret}\n', format="jsonl")

    assert "secret" not in row.error


def test_header_columns_are_in_the_files_order() -> None:
    assert [column.name for column in header_columns([" Full Name", "id"], dataset())] == ["name", "id"]
