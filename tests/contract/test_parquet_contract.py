"""Parquet into every warehouse: what PostgreSQL takes as CSV, Redshift by a COPY of its own, and a fake row by row."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from tests.contract.warehouses import Kit, dataset_of, load, rejects
from tests.corpus.parquet_files import written
from tests.fakes.object_store import FakeObjectStore

from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.outcomes import LoadOutcome, Verdict

TYPED: tuple[dict[str, Any], ...] = (
    {"name": "id", "type": "integer", "required": True},
    {"name": "name", "type": "text"},
    {"name": "small", "type": "smallint"},
    {"name": "big", "type": "bigint"},
    {"name": "sum", "type": "numeric"},
    {"name": "share", "type": "double"},
    {"name": "is_new", "type": "boolean"},
    {"name": "born", "type": "date"},
    {"name": "at", "type": "timestamp"},
    {"name": "seen", "type": "timestamptz"},
)
SEEN = datetime(2024, 2, 29, 13, 30, 0, 250_000, tzinfo=UTC)
AT = SEEN.replace(tzinfo=None)
ROWS = [
    (1, 'Ada, "a"\n', 7, 2**40, Decimal("1.50"), 0.25, True, date(1815, 12, 10), AT, SEEN),
    (2, "", None, None, None, None, None, None, None, None),
    (3, None, -7, -1, Decimal("-0.01"), -1.5, False, date(2024, 2, 29), AT, SEEN),
]
TYPES = [
    *(pa.int32(), pa.string(), pa.int16(), pa.int64(), pa.decimal128(10, 2), pa.float64(), pa.bool_(), pa.date32()),
    *(pa.timestamp("us"), pa.timestamp("us", "UTC")),
]


ON_REAL_ONES = pytest.mark.parametrize("kit", ["postgres", "redshift"], indirect=True)
"""They keep values as the table's types have them."""


def typed(types: list[pa.DataType], rows: list[tuple[Any, ...]] = ROWS, **write: Any) -> bytes:
    columns = zip(TYPED, types, zip(*rows, strict=True), strict=True)
    return written({column["name"]: pa.array(list(values), type_) for column, type_, values in columns}, **write)


def plain(ids: list[Any], bits: int = 32, **write: Any) -> bytes:
    """A file of `dataset_of()`, whose columns stand in another order than the dataset's."""
    delay = pa.array([0] * len(ids), pa.int16())
    numbers = pa.array(ids, pa.int64() if bits == 64 else pa.int32())
    return written({"delay": delay, "id": numbers, "name": pa.array(["x"] * len(ids))}, **write)


def parquet_of(kit: Kit, **changes: Any) -> Dataset:
    dataset = dataset_of(**{"format": "parquet", **changes})
    kit.apply(dataset)
    return dataset


def put(store: FakeObjectStore, dataset: Dataset, name: str, data: bytes) -> Arrival:
    return store.put(f"incoming/{dataset.prefix}{name}.parquet", data)


def test_good_files_are_loaded_with_their_lineage_and_counted_each(kit: Kit, store: FakeObjectStore) -> None:
    dataset = parquet_of(kit)
    files = [put(store, dataset, str(count), plain(list(range(count)))) for count in (2, 3, 0)]

    outcomes = load(kit.warehouse, dataset, store, *files)

    assert {one.id: outcomes[one.id].rows for one in files} == {files[0].id: 2, files[1].id: 3, files[2].id: 0}
    assert {one.verdict for one in outcomes.values()} == {Verdict.LOADED}
    assert sorted(kit.arrivals_of(dataset)) == sorted([files[0].id] * 2 + [files[1].id] * 3)
    assert sorted(int(row[0]) for row in kit.rows(dataset)) == [0, 0, 1, 1, 2]


def test_loaded_again_by_anyone_nothing_is_added(kit: Kit, store: FakeObjectStore) -> None:
    dataset = parquet_of(kit)
    file = put(store, dataset, "a", plain([1, 2]))

    for warehouse in (kit.warehouse, kit.another()):
        load(warehouse, dataset, store, file)

    assert len(kit.rows(dataset)) == 2


def test_a_row_that_lacks_what_is_required_is_told_by_its_number(kit: Kit, store: FakeObjectStore) -> None:
    dataset = parquet_of(kit, max_reject_ratio=0.5)
    good, bad = put(store, dataset, "good", plain([1, 2])), put(store, dataset, "bad", plain([3, None, 4]))

    outcomes = load(kit.warehouse, dataset, store, good, bad)

    assert outcomes[good.id] == LoadOutcome(Verdict.LOADED, rows=2)
    assert outcomes[bad.id] == LoadOutcome(Verdict.LOADED, rows=2, rejects=1)
    [reject] = rejects(kit.warehouse, dataset, bad)
    assert (reject.line, reject.column) == (2, "id")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"id,name,delay\n1,a,1\n", "begin with PAR1"),
        (plain([1])[:-20], "ends early"),
        (written({"id": pa.array([1]), "name": pa.array(["a"])}), "column delay is missing"),
    ],
    ids=["CSV", "cut off", "a column missing"],
)
def test_a_file_that_is_none_of_the_datasets_is_set_aside_alone(
    kit: Kit, store: FakeObjectStore, data: bytes, words: str
) -> None:
    dataset = parquet_of(kit)
    good, bad = put(store, dataset, "good", plain([1])), put(store, dataset, "bad", data)

    outcomes = load(kit.warehouse, dataset, store, good, bad)

    assert outcomes[good.id].rows == 1
    assert outcomes[bad.id].verdict is Verdict.QUARANTINED
    assert words in outcomes[bad.id].reason


def test_another_content_replaces_the_rows_of_that_file_alone(kit: Kit, store: FakeObjectStore) -> None:
    dataset = parquet_of(kit, on_overwrite="replace")
    other, old = put(store, dataset, "other", plain([7])), put(store, dataset, "one", plain([1, 2]))
    load(kit.warehouse, dataset, store, other, old)

    new = put(store, dataset, "one", plain([3]))
    outcomes = load(kit.warehouse, dataset, store, new)

    assert outcomes[new.id].replaced == (old.id,)
    assert sorted(kit.arrivals_of(dataset)) == sorted([other.id, new.id])


NANOSECONDS = [*TYPES[:8], pa.timestamp("ns"), pa.timestamp("ns", "UTC")]
MILLISECONDS = [*TYPES[:8], pa.timestamp("ms"), pa.timestamp("ms", "Asia/Tokyo")]
WIDE = [pa.int64(), pa.large_string(), pa.int64(), pa.int64(), pa.decimal128(38, 10), pa.float64(), *TYPES[6:]]
NARROW = [pa.int16(), pa.string(), pa.int8(), pa.int64(), pa.decimal128(4, 2), pa.float32(), *TYPES[6:]]


@pytest.mark.parametrize(
    ("types", "write"),
    [
        (TYPES, {}),
        (TYPES, {"row_group_size": 1, "compression": "zstd", "use_dictionary": False}),
        (TYPES, {"version": "1.0"}),
        (TYPES, {"write_statistics": False}),
        (NANOSECONDS, {}),
        (MILLISECONDS, {}),
        (WIDE, {}),
        (WIDE, {"write_statistics": False}),
        (NARROW, {}),
    ],
    ids=[
        *("plain", "groups of one row", "version 1", "no statistics", "nanoseconds"),
        *("milliseconds", "wide", "wide, no statistics", "narrow"),
    ],
)
@ON_REAL_ONES
def test_values_arrive_unchanged_whoever_wrote_the_file(
    kit: Kit, store: FakeObjectStore, types: list[pa.DataType], write: dict[str, Any]
) -> None:
    dataset = parquet_of(kit, columns=TYPED)
    files = [put(store, dataset, name, typed(types, **write)) for name in "ab"]

    outcomes = load(kit.warehouse, dataset, store, *files)

    assert outcomes == {file.id: LoadOutcome(Verdict.LOADED, rows=3) for file in files}
    # The Data API tells a moment in UTC without its zone.
    found = [(*row[:9], row[9] and row[9].replace(tzinfo=UTC)) for row in kit.rows(dataset)]
    assert sorted(found, key=lambda row: row[0]) == sorted(ROWS * 2, key=lambda row: row[0])


@pytest.mark.parametrize("statistics", [True, False])
@ON_REAL_ONES
def test_what_a_column_cannot_hold_is_told_as_in_every_format(
    kit: Kit, store: FakeObjectStore, statistics: bool
) -> None:
    dataset = parquet_of(kit, max_reject_ratio=0.5)
    ids = [1, 2**40, -(2**31) - 1, 2**31 - 1]
    bad = put(store, dataset, "bad", plain(ids, 64, write_statistics=statistics))
    good = put(store, dataset, "good", plain([5], 64))

    outcomes = load(kit.warehouse, dataset, store, good, bad)

    assert outcomes[good.id] == LoadOutcome(Verdict.LOADED, rows=1)
    assert outcomes[bad.id] == LoadOutcome(Verdict.LOADED, rows=2, rejects=2)
    told = rejects(kit.warehouse, dataset, bad)
    reason = "value is out of range for type integer; write a whole number from -2147483648 to 2147483647"
    assert [(one.line, one.column, one.reason) for one in told] == [(2, "id", reason), (3, "id", reason)]
    assert json.loads(told[0].raw)["id"] == str(2**40)


@ON_REAL_ONES
def test_json_and_uuids_are_read_by_penstock(kit: Kit, store: FakeObjectStore) -> None:
    columns = ({"name": "id", "type": "uuid"}, {"name": "data", "type": "json"})
    dataset = parquet_of(kit, columns=columns, max_reject_ratio=0.5)
    one = "123e4567-e89b-12d3-a456-426614174000"
    data = written({"id": [one, one, None], "data": ['{"a": [1.10]}', "{", None]})
    file = put(store, dataset, "a", data)

    outcomes = load(kit.warehouse, dataset, store, file)

    assert outcomes[file.id] == LoadOutcome(Verdict.LOADED, rows=2, rejects=1)
    assert [(str(row[0]), row[1]) for row in kit.rows(dataset)] == [(one, {"a": [1.1]}), ("None", None)]
    [reject] = rejects(kit.warehouse, dataset, file)
    assert (reject.line, reject.column) == (2, "data")


@ON_REAL_ONES
def test_times_are_read_as_spark_writes_them(kit: Kit, store: FakeObjectStore) -> None:
    dataset = parquet_of(kit, columns=({"name": "at", "type": "timestamp"},))
    file = put(store, dataset, "a", written({"at": pa.array([AT, None])}, use_deprecated_int96_timestamps=True))

    outcomes = load(kit.warehouse, dataset, store, file)

    assert outcomes[file.id] == LoadOutcome(Verdict.LOADED, rows=2)
    assert kit.rows(dataset) == [(AT,), (None,)]
