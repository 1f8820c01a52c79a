from __future__ import annotations

import io
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.search_index import FakeSearchIndex

from penstock.flows.explain_file import explain_file
from penstock.flows.withdraw_rows import withdraw_rows
from penstock.model.datasets import ColumnType, Dataset
from penstock.model.documents import Document
from penstock.model.errors import BadFileError, PermanentError, TransientError
from penstock.model.inference import infer_parquet
from penstock.model.parquet import parquet_csv
from penstock.model.rows import rows


def dataset(columns: dict[str, str], **more: Any) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "tables",
            "prefix": "tables/",
            "format": "parquet",
            "columns": [{"name": name, "type": kind} for name, kind in columns.items()],
            "table": "tables",
            **more,
        }
    )


def written(columns: dict[str, Any], **more: Any) -> io.BytesIO:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **more)
    return file


TYPES: dict[str, tuple[pa.DataType, Any, str, str]] = {
    "small": (pa.int16(), -5, "smallint", "-5"),
    "big": (pa.int64(), 2**62, "bigint", "4611686018427387904"),
    "wide": (pa.uint64(), 2**64 - 1, "numeric", "18446744073709551615"),
    "exact": (pa.decimal128(38, 4), Decimal("1.5000"), "numeric", "1.5000"),
    "single": (pa.float32(), 0.1, "real", "0.1"),
    "double": (pa.float64(), 1e300, "double", "1e+300"),
    "flag": (pa.bool_(), True, "boolean", "true"),
    "day": (pa.date32(), 19782, "date", "2024-02-29"),
    "local": (pa.timestamp("ns"), 1_709_213_400_000_000_999, "timestamp", "2024-02-29 13:30:00.000000"),
    "moment": (pa.timestamp("us", "Asia/Tokyo"), 1_709_213_400_000_000, "timestamptz", "2024-02-29 13:30:00.000000Z"),
    "uid": (pa.binary(16), UUID(int=7).bytes, "uuid", str(UUID(int=7))),
    "list": (pa.list_(pa.decimal128(5, 2)), [Decimal("1.10")], "json", "[1.10]"),
    "map": (pa.map_(pa.string(), pa.int32()), [("a", 1)], "json", '{"a":1}'),
    "words": (pa.string(), 'a "b"\n', "text", 'a "b"\n'),
}


@pytest.mark.parametrize("name", TYPES)
def test_a_value_of_each_type_is_the_text_that_a_csv_would_hold(name: str) -> None:
    type_, value, kind, text = TYPES[name]
    file = written({name: pa.array([value, None], type_)})

    found = list(rows(file, dataset({name: kind})))

    assert [row.values for row in found] == [(text,), (None,)]
    assert [row.line for row in found] == [1, 2]


@pytest.mark.parametrize("name", TYPES)
def test_the_inferred_column_is_one_that_takes_the_file(name: str) -> None:
    type_, value, kind, _ = TYPES[name]
    file = written({name: pa.array([value], type_)})

    [column] = infer_parquet(file)

    assert column.type == kind
    assert len(list(rows(file, dataset({name: column.type})))) == 1


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        (pa.float64(), "bigint"),
        (pa.timestamp("us"), "timestamptz"),
        (pa.timestamp("us", "UTC"), "timestamp"),
        (pa.timestamp("us", "UTC"), "date"),
        (pa.date32(), "timestamptz"),
        (pa.binary(), "text"),
        (pa.list_(pa.binary()), "json"),
        (pa.list_(pa.string()), "text"),
        (pa.int32(), "boolean"),
        (pa.decimal128(10, 2), "integer"),
    ],
)
def test_a_type_that_its_column_would_change_or_refuse_is_the_files_fault(type_: pa.DataType, kind: str) -> None:
    with pytest.raises(BadFileError, match=r"column one is .* in the file, and "):
        list(rows(written({"one": pa.array([None], type_)}), dataset({"one": kind})))


def test_null_and_the_empty_text_differ_in_what_copy_is_given() -> None:
    file = written({"one": ["", None, "a"], "two": pa.array([None, 2, 3], pa.int32())})

    found = b"".join(parquet_csv(file, dataset({"two": "integer", "one": "text"})))

    assert found == b',""\n2,\n3,"a"\n'


def test_a_text_that_is_repeated_is_written_out_in_small_pieces() -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array(["a" * 2**20]))

    pieces = parquet_csv(written({"one": texts}), dataset({"one": "text"}))

    assert max(len(next(pieces)) for _ in range(20)) < 10 * 2**20


def test_row_groups_are_counted_on_and_on() -> None:
    file = written({"one": pa.array(range(10), pa.int32())}, row_group_size=3)

    found = [(row.line, row.values) for row in rows(file, dataset({"one": "integer"}))]

    assert found == [(number + 1, (str(number),)) for number in range(10)]


class Breaking(io.BytesIO):
    """Its connection is lost behind the footer."""

    def read(self, size: int | None = -1, /) -> bytes:
        if 4 < self.tell() < len(self.getbuffer()) // 2:
            raise TransientError("the connection ended")
        return super().read(size)


def test_what_the_stream_raises_is_raised_and_no_fault_of_the_file() -> None:
    file = Breaking(written({"one": [f"{number:0100}" for number in range(10_000)]}, use_dictionary=False).getvalue())

    with pytest.raises(TransientError, match="the connection ended"):
        list(rows(file, dataset({"one": "text"})))


class Straight:
    def read(self, _size: int, /) -> bytes:
        return b""


def test_a_stream_that_can_not_be_read_from_its_end_is_refused() -> None:
    with pytest.raises(PermanentError, match="from its end"):
        list(rows(Straight(), dataset({"one": "text"})))


def test_a_column_of_bytes_can_not_be_inferred() -> None:
    with pytest.raises(ValueError, match="column one is binary"):
        infer_parquet(written({"one": [b"a"]}))


@pytest.mark.parametrize(
    ("columns", "wrong"),
    [({"one": "text"}, {"compression": "gzip"}), ({}, {"infer": True, "sample": "one.parquet"})],
)
def test_a_dataset_of_parquet_is_neither_compressed_nor_inferred(columns: dict[str, str], wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"[Pp]arquet"):
        dataset(columns, **wrong)


def test_a_key_that_ends_as_a_compression_does_changes_nothing() -> None:
    assert dataset({"one": "text"}).compression_of("incoming/tables/one.parquet.gz") == "none"


def test_explain_says_what_would_become_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "one.parquet"
    path.write_bytes(written({"one": ["1", "b"], "two": pa.array([1, 2], pa.int8())}).getvalue())

    told = explain_file(path, dataset({"one": "integer", "two": "smallint"}))

    assert (told.rows, told.rejected, told.fault) == (2, 1, "")
    assert [(reject.line, reject.column) for reject in told.rejects] == [(2, "one")]
    assert [seen.inferred for seen in told.columns] == [ColumnType.TEXT, ColumnType.SMALLINT]


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that does not bring pyarrow."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)


@pytest.mark.usefixtures("unreadable")
def test_without_pyarrow_the_error_says_what_to_install() -> None:
    with pytest.raises(PermanentError, match=r"pip install -e '\.\[parquet\]'"):
        list(rows(io.BytesIO(b"PAR1"), dataset({"one": "text"})))


@pytest.mark.usefixtures("unreadable")
def test_documents_of_rejected_rows_are_withdrawn_without_reading_the_file() -> None:
    store, search = FakeObjectStore(), FakeSearchIndex()
    arrival = store.put("incoming/tables/one.parquet", b"nobody reads it")
    indexed = dataset({"one": "text"}, index="tables")
    search.apply(indexed)

    source = orjson.dumps({"penstock_arrival": arrival.id})
    search.write("tables", [Document(f"{arrival.id}-{number}", source, number + 1) for number in range(6)])

    withdraw_rows(arrival, indexed, frozenset({2, 5}), store, search)

    assert {hit["_id"] for hit in search.search("tables", "", 10)} == {f"{arrival.id}-{left}" for left in (0, 2, 3, 5)}
