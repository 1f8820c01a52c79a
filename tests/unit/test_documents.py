from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.documents import Document, document_maker, ids_on_lines
from penstock.model.outcomes import Reject
from penstock.model.rows import Row

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ARRIVAL = Arrival("landing", "incoming/t/a.csv", "v1", 10, "etag", AT)


def dataset(*columns: tuple[str, str], **changes: Any) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "t",
            "prefix": "t/",
            "format": "csv",
            "columns": [{"name": name, "type": type_} for name, type_ in columns],
            "table": "t",
            "index": "t",
            **changes,
        }
    )


def made(of: Dataset, *values: Any, arrival: Arrival = ARRIVAL, ordinal: int = 0) -> Document | Reject:
    return document_maker(of, arrival, AT)(ordinal, Row(2, "raw\n", values))


def document(of: Dataset, *values: Any, arrival: Arrival = ARRIVAL, ordinal: int = 0) -> Document:
    found = made(of, *values, arrival=arrival, ordinal=ordinal)
    assert isinstance(found, Document)
    return found


@pytest.mark.parametrize(
    ("type_", "text", "json_value"),
    [
        ("text", "12", '"12"'),
        ("smallint", "-7", "-7"),
        ("integer", "12", "12"),
        ("bigint", "9223372036854775807", "9223372036854775807"),
        ("numeric", "12345678901234567890.12345678901234567890", "12345678901234567890.12345678901234567890"),
        ("numeric", ".5", "0.5"),
        ("real", "1.5", "1.5"),
        ("double", "1e3", "1000.0"),
        ("boolean", "T", "true"),
        ("boolean", "no", "false"),
        ("date", "2013-01-31", '"2013-01-31"'),
        ("timestamp", "2013-01-31 10:00:00", '"2013-01-31T10:00:00"'),
        ("timestamp", "2013-01-31T10:00:00+02:00", '"2013-01-31T10:00:00"'),
        ("timestamptz", "2013-01-31T10:00:00Z", '"2013-01-31T10:00:00+00:00"'),
        ("uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'),
        ("json", '{"a": [1, null]}', '{"a": [1, null]}'),
    ],
)
def test_a_texts_value_has_its_columns_type(type_: str, text: str, json_value: str) -> None:
    source = document(dataset(("c", type_)), text).source

    assert source.startswith(b'{"c":' + json_value.encode() + b",")


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("integer", "abc"),
        ("integer", "1.5"),
        ("integer", ""),
        ("bigint", "99999999999999999999999"),
        ("double", "NaN"),
        ("double", "-inf"),
        ("numeric", "infinity"),
        ("boolean", "maybe"),
        ("date", "2013-02-30"),
        ("timestamptz", "yesterday"),
    ],
)
def test_a_value_that_is_not_of_its_columns_type_is_left_to_the_index_to_judge(type_: str, text: str) -> None:
    assert json.loads(document(dataset(("c", type_), table=None), text).source)["c"] == text


@pytest.mark.parametrize("text", ["{broken", "NaN", "[" * 300 + "]" * 300, "[" * 20_000 + "]" * 20_000])
def test_json_that_no_index_looks_into_is_judged_here(text: str) -> None:
    alone, beside = (made(dataset(("c", "json"), table=table), text) for table in (None, "t"))

    assert isinstance(alone, Reject)
    assert (alone.column, alone.reason[:16]) == ("c", "it is no JSON, o")
    assert isinstance(beside, Document)
    assert json.loads(beside.source)["c"] is None


@pytest.mark.parametrize(
    ("order", "text", "day"),
    [
        ("ymd", "2023/1/31", "2023-01-31"),
        ("mdy", "01/02/2023", "2023-01-02"),
        ("dmy", "01/02/2023", "2023-02-01"),
        ("dmy", "2023-02-01", "2023-02-01"),
        ("ymd", "01/02/2023", None),
    ],
)
def test_a_date_is_read_in_the_datasets_order(order: str, text: str, day: str | None) -> None:
    made = document(dataset(("c", "date"), date_order=order), text)

    assert json.loads(made.source)["c"] == day


@pytest.mark.parametrize(("type_", "text"), [("integer", "0x1F"), ("double", "NaN"), ("date", "Jan 5, 2023")])
def test_where_a_warehouse_judges_a_row_has_its_document_whatever_an_index_takes(type_: str, text: str) -> None:
    assert json.loads(document(dataset(("c", type_)), text).source)["c"] is None


@pytest.mark.parametrize("value", [1.5, True, ["x"], {"a": 1}])
def test_a_json_value_is_not_bent_to_its_columns_type(value: Any) -> None:
    assert json.loads(document(dataset(("c", "integer"), table=None), value).source)["c"] == value


def test_null_is_null() -> None:
    assert json.loads(document(dataset(("c", "integer")), None).source)["c"] is None


def test_a_document_says_where_it_came_from_and_when_it_was_loaded() -> None:
    source = json.loads(document(dataset(("c", "text")), "x").source)

    assert source == {"c": "x", "penstock_arrival": ARRIVAL.id, "penstock_loaded_at": "2026-01-02T03:04:05+00:00"}


def test_only_the_indexs_fields_become_fields() -> None:
    of = dataset(("a", "text"), ("b", "integer"), ("c", "text"), index={"name": "t", "fields": ["c", "b"]})

    assert document(of, "x", "1", "y").source.startswith(b'{"b":1,"c":"y",')


def test_a_required_column_that_is_null_is_a_reject_even_if_it_is_no_field() -> None:
    columns = [{"name": "a", "type": "text", "required": True}, {"name": "b", "type": "text"}]
    of = dataset(columns=columns, index={"name": "t", "fields": ["b"]})

    assert made(of, None, "x") == Reject(2, "a", "column a is required, and it is null here", "raw")


def test_a_malformed_row_is_a_reject_with_its_text_cut() -> None:
    row = Row(7, "x" * 20_000 + "\r\n", (), "3 columns where 2 were expected")

    found = document_maker(dataset(("a", "text")), ARRIVAL, AT)(0, row)

    assert found == Reject(7, "", "3 columns where 2 were expected", "x" * Reject.MAX_RAW)


def test_a_value_that_json_cannot_hold_is_a_reject() -> None:
    deep: Any = []
    for _ in range(500):
        deep = [deep]

    assert isinstance(made(dataset(("c", "json"), table=None), deep), Reject)
    assert json.loads(document(dataset(("c", "json")), deep).source)["c"] is None


def test_without_id_columns_the_id_is_the_arrivals_and_the_rows_ordinal() -> None:
    assert document(dataset(("c", "text")), "x", ordinal=41).id == f"{ARRIVAL.id}-41"


def test_without_a_table_identical_content_put_again_has_the_same_ids() -> None:
    of = dataset(("c", "text"), table=None)
    again = Arrival("landing", ARRIVAL.key, "v2", ARRIVAL.size, ARRIVAL.etag, AT)
    other = Arrival("landing", ARRIVAL.key, "v3", ARRIVAL.size, "other", AT)

    first = document(of, "x")

    assert document(of, "x", arrival=again).id == first.id
    assert document(of, "x", arrival=other).id != first.id
    assert first.id.endswith("-0")


def test_id_columns_make_the_id_whatever_the_arrival_and_however_the_value_is_written() -> None:
    of = dataset(("k", "integer"), ("v", "text"), index={"name": "t", "id_columns": ["k"]})
    other = Arrival("landing", "incoming/t/b.csv", "v9", 1, "e", AT)

    first = document(of, "7", "a")

    assert document(of, "07", "b", arrival=other, ordinal=5).id == first.id
    assert document(of, "8", "a").id != first.id


def test_the_values_of_two_id_columns_do_not_run_together() -> None:
    of = dataset(("a", "text"), ("b", "text"), index={"name": "t", "id_columns": ["a", "b"]})

    assert document(of, "x", "yz").id != document(of, "xy", "z").id


def test_ids_stay_short_however_long_the_key_is() -> None:
    of = dataset(("a", "text"), index={"name": "t", "id_columns": ["a"]})

    assert len(document(of, "x" * 10_000).id) <= 64


def test_the_ids_of_rejected_lines_are_those_of_their_documents() -> None:
    of = dataset(("c", "text"))
    rows = [Row(2, "", ("a",)), Row(3, "", (), "broken"), Row(5, "", ("b",)), Row(6, "", ("c",))]

    assert list(ids_on_lines(of, ARRIVAL, rows, frozenset((3, 5)))) == [f"{ARRIVAL.id}-2"]
