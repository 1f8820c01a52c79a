"""Columns from a sample: the smallest type that loses nothing."""

from __future__ import annotations

import json

import pytest

from penstock.model.datasets import ColumnType, Csv, Format
from penstock.model.inference import infer_columns


def type_of(*values: str, null_markers: tuple[str, ...] = ("",)) -> ColumnType:
    sample = "".join(f'"{value}"\n' for value in ("a", *values))
    (column,) = infer_columns(sample, Format.CSV, Csv(), null_markers)
    return column.type


def json_type_of(*values: object) -> ColumnType:
    sample = "".join(json.dumps({"a": value}) + "\n" for value in values)
    (column,) = infer_columns(sample, Format.JSONL, Csv(), ("",))
    return column.type


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-20", "0"], ColumnType.INTEGER),
        (["2147483647", "2147483648"], ColumnType.BIGINT),
        (["9223372036854775808"], ColumnType.NUMERIC),
        (["1", "2.5"], ColumnType.DOUBLE),
        (["1e3", "-0.5"], ColumnType.DOUBLE),
        (["9007199254740993", "0.5"], ColumnType.NUMERIC),
        (["0.123456789012345678901"], ColumnType.NUMERIC),
        (["1e999"], ColumnType.TEXT),
        (["007"], ColumnType.TEXT),
        (["1", "01"], ColumnType.TEXT),
        (["+43"], ColumnType.TEXT),
        (["1,000"], ColumnType.TEXT),
        ([" 1"], ColumnType.TEXT),
        (["\N{ARABIC-INDIC DIGIT ONE}"], ColumnType.TEXT),
        (["true", "False"], ColumnType.BOOLEAN),
        (["true", "1"], ColumnType.TEXT),
        (["t"], ColumnType.TEXT),
        (["2013-01-31"], ColumnType.DATE),
        (["2013-02-30"], ColumnType.TEXT),
        (["2013-01-01T10:00:00Z", "2013-01-01 10:00:00.5+02:00"], ColumnType.TIMESTAMPTZ),
        (["2013-01-01T10:00:00"], ColumnType.TIMESTAMP),
        (["2013-01-01T10:00:00Z", "2013-01-01T10:00:00"], ColumnType.TEXT),
        (["2013-01-01T25:00:00"], ColumnType.TEXT),
        (["6ba7b810-9dad-11d1-80b4-00c04fd430c8"], ColumnType.UUID),
        (["", ""], ColumnType.TEXT),
        (["", "4"], ColumnType.INTEGER),
    ],
)
def test_a_csv_column_has_the_smallest_type_that_keeps_every_value(values: list[str], expected: ColumnType) -> None:
    assert type_of(*values) is expected
    assert type_of(*reversed(values)) is expected


def test_a_null_marker_says_nothing_about_the_type() -> None:
    assert type_of("NA", "1", null_markers=("NA",)) is ColumnType.INTEGER
    assert type_of("NA", "1") is ColumnType.TEXT


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None], ColumnType.INTEGER),
        ([1, 2.5], ColumnType.DOUBLE),
        ([2**40], ColumnType.BIGINT),
        (["1"], ColumnType.TEXT),
        (["true"], ColumnType.TEXT),
        ([True], ColumnType.BOOLEAN),
        (["2013-01-01T10:00:00Z"], ColumnType.TIMESTAMPTZ),
        ([{"b": 1}], ColumnType.JSON),
        ([[1], "x", 2], ColumnType.JSON),
        ([None], ColumnType.TEXT),
    ],
)
def test_a_json_value_keeps_the_type_that_its_writer_gave_it(values: list[object], expected: ColumnType) -> None:
    assert json_type_of(*values) is expected


def test_header_names_become_column_names_and_are_kept_as_source() -> None:
    sample = "Dep Time,dep-time,Größe,2nd,%,penstock_arrival,ok\n1,2,3,4,5,6,7\n"

    columns = infer_columns(sample, Format.CSV, Csv(), ("",))

    assert {column.in_file: column.name for column in columns} == {
        "Dep Time": "dep_time",
        "dep-time": "dep_time_2",
        "Größe": "grosse",
        "2nd": "c_2nd",
        "%": "column_5",
        "penstock_arrival": "penstock_arrival_2",
        "ok": "ok",
    }
    assert columns[-1].source is None


def test_a_file_without_a_header_gets_numbered_columns() -> None:
    columns = infer_columns("1;x\n2;y\n", Format.CSV, Csv(header=False, delimiter=";"), ("",))

    assert [(column.name, column.type, column.source) for column in columns] == [
        ("column_1", ColumnType.INTEGER, None),
        ("column_2", ColumnType.TEXT, None),
    ]


def test_fields_of_json_lines_come_in_the_order_in_which_they_are_first_seen() -> None:
    columns = infer_columns('{"b": 1}\n\n{"a": 2, "b": 3}\n', Format.JSONL, Csv(), ("",))

    assert [column.name for column in columns] == ["b", "a"]


@pytest.mark.parametrize(
    ("sample", "form", "message"),
    [
        ("", Format.CSV, "no row"),
        ("\n\n", Format.JSONL, "no row"),
        ("a,a\n1,2\n", Format.CSV, "names a twice"),
        ("a,,c\n1,2,3\n", Format.CSV, "column 2 of the header has no name"),
        ("a,b\n1,2\n1,2,3\n", Format.CSV, "row 2 has 3 fields"),
        ('a\n"open\n', Format.CSV, "no CSV of this dialect"),
        ('{"a": 1}\n{"a"', Format.JSONL, "line 2 is no JSON"),
        ("[1]\n", Format.JSONL, "line 1 is no JSON object"),
    ],
)
def test_a_sample_that_says_nothing_is_refused_in_words(sample: str, form: Format, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        infer_columns(sample, form, Csv(), ("",))


def test_columns_come_from_the_whole_elements_of_an_array_that_is_cut() -> None:
    sample = '[\n  {"id": 1, "Day": "2026-01-05"},\n  {"id": 3000000000, "ok": true}, {"id": "tw'

    columns = infer_columns(sample, Format.JSON, Csv(), [""])

    assert [(column.name, column.type, column.source) for column in columns] == [
        ("id", ColumnType.BIGINT, None),
        ("day", ColumnType.DATE, "Day"),
        ("ok", ColumnType.BOOLEAN, None),
    ]


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ('{"id": 1}', "a JSON array was expected"),
        ("[1]", "element 1 is no JSON object"),
        ('[{"id" 1}, {"id": 2}, {"id": 3}]', "no valid JSON on line 1"),
        ("[]", "no row to take columns from"),
    ],
)
def test_a_sample_that_is_no_array_of_objects_is_refused(sample: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        infer_columns(sample, Format.JSON, Csv(), [""])
