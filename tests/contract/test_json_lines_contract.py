"""JSON Lines on every real warehouse: good ones, broken ones, and values that only the database reads exactly."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from tests.contract.warehouses import ON_REAL_ONES, Kit, dataset_of, load, rejects
from tests.fakes.object_store import FakeObjectStore

from penstock.model.outcomes import LoadOutcome, Verdict

pytestmark = ON_REAL_ONES
_JSON_COLUMNS: tuple[dict[str, Any], ...] = (
    {"name": "id", "type": "integer", "required": True},
    {"name": "name", "type": "text", "source": "the name"},
    {"name": "ok", "type": "boolean"},
    {"name": "at", "type": "timestamptz"},
)


def _lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


@pytest.mark.parametrize("exact", [False, True], ids=["by orjson", "by the database"])
def test_json_lines_are_loaded(kit: Kit, store: FakeObjectStore, exact: bool) -> None:
    columns = [*_JSON_COLUMNS, *([{"name": "amount", "type": "numeric"}] if exact else [])]
    dataset = dataset_of(columns, format="jsonl")
    kit.apply(dataset)
    data = _lines({"id": 1, "the name": "a\n\t\\\u00e9", "ok": True, "unknown": [1]}, {"id": "2", "the name": None})
    arrival = store.put(f"incoming/{dataset.prefix}a.jsonl", data + b"\n" + _lines({"id": 3, "at": "2026-01-02"}))

    outcomes = load(kit.warehouse, dataset, store, arrival)

    assert outcomes == {arrival.id: LoadOutcome(Verdict.LOADED, rows=3)}
    rows = [row[:3] for row in kit.rows(dataset)]
    assert rows == [(1, "a\n\t\\\u00e9", True), (2, None, None), (3, None, None)]
    assert kit.rows(dataset)[2][3].isoformat().startswith("2026-01-02T00:00:00")


@pytest.mark.parametrize("broken", [False, True], ids=["clean", "repaired"])
def test_numbers_and_json_are_kept_as_they_are_written(kit: Kit, store: FakeObjectStore, broken: bool) -> None:
    dataset = dataset_of(
        [{"name": "n", "type": "numeric"}, {"name": "j", "type": "json"}, {"name": "t", "type": "text"}],
        format="jsonl",
        max_reject_ratio=0.5,
    )
    kit.apply(dataset)
    data = b'{"n": 12345678901234567890.1234567890, "j": {"a": [1, null]}, "t": 1.10}\n{"j": null, "t": {"b": 1}}\n'
    arrival = store.put(f"incoming/{dataset.prefix}a.jsonl", data + (b"{\n" if broken else b""))

    load(kit.warehouse, dataset, store, arrival)

    assert kit.rows(dataset) == [
        (Decimal("12345678901234567890.1234567890"), {"a": [1, None]}, "1.10"),
        (None, None, '{"b": 1}'),
    ]


def test_a_text_column_takes_json_that_is_no_string(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of(_JSON_COLUMNS, format="jsonl")
    kit.apply(dataset)
    data = b'{"id": 1, "the name": true}\n{"id": 2, "the name": 1.50}\n{"id": 3, "the name": [1]}\n'
    arrival = store.put(f"incoming/{dataset.prefix}a.jsonl", data)

    load(kit.warehouse, dataset, store, arrival)

    assert [row[1] for row in kit.rows(dataset)] == ["true", "1.50", "[1]"]


@pytest.mark.parametrize("exact", [False, True], ids=["by orjson", "by the database"])
def test_broken_lines_are_rejects(kit: Kit, store: FakeObjectStore, exact: bool) -> None:
    columns = [*_JSON_COLUMNS, *([{"name": "amount", "type": "numeric"}] if exact else [])]
    dataset = dataset_of(columns, format="jsonl", max_reject_ratio=0.9)
    kit.apply(dataset)
    data = (
        b'{"id": 1}\n{"id": 2\n[3]\n{"id": "four"}\n{"the name": "five"}\n{"id": 6, "the name": "\\u0000"}\n'
        b'{"id": 7, "the name": "\\\\u0000"}\n{"id": 8, "x": {}\x01\n\x01}\n'
    )
    arrival = store.put(f"incoming/{dataset.prefix}a.jsonl", data)

    outcomes = load(kit.warehouse, dataset, store, arrival)

    assert outcomes == {arrival.id: LoadOutcome(Verdict.LOADED, rows=2, rejects=7)}
    assert [row[:2] for row in kit.rows(dataset)] == [(1, None), (7, "\\u0000")]
    found = rejects(kit.warehouse, dataset, arrival)
    assert [(reject.line, reject.column) for reject in found] == [
        (2, ""),
        (3, ""),
        (4, "id"),
        (5, "id"),
        (6, ""),
        (8, ""),
        (9, ""),
    ]
    assert found[0].raw == '{"id": 2\n'


def test_control_characters_do_not_melt_two_broken_lines_into_a_good_one(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of([{"name": "n", "type": "numeric"}], format="jsonl", max_reject_ratio=0.9)
    kit.apply(dataset)
    arrival = store.put(f"incoming/{dataset.prefix}a.jsonl", b'{"n": 1}\n{"n": 2\x01\n\x01}\n')

    outcomes = load(kit.warehouse, dataset, store, arrival)

    assert outcomes == {arrival.id: LoadOutcome(Verdict.LOADED, rows=1, rejects=2)}


def test_a_json_key_longer_than_an_sql_name_is_found(kit: Kit, store: FakeObjectStore) -> None:
    long = "k" * 70
    for kind, value, expected in (("text", "v", "v"), ("json", {"a": 1}, {"a": 1})):
        columns = [
            {"name": "a", "type": kind, "source": long},
            {"name": "b", "type": "numeric"},
            {"name": "c", "type": "text", "source": long + "2"},
        ]
        dataset = dataset_of(columns, format="jsonl", max_reject_ratio=0.5)
        kit.apply(dataset)
        clean = store.put(f"incoming/{dataset.prefix}a.jsonl", _lines({long: value, "b": 1}))
        repaired = store.put(f"incoming/{dataset.prefix}b.jsonl", _lines({long: value, "b": 1}, 5))

        load(kit.warehouse, dataset, store, clean, repaired)

        assert kit.rows(dataset) == [(expected, 1, None)] * 2
