"""CSV that is clean, on every real warehouse: however it is written, the same rows."""

from __future__ import annotations

import gzip

import pytest
from tests.contract.warehouses import CLEAN, CLEAN_ROWS, ON_REAL_ONES, Kit, dataset_of, load
from tests.fakes.object_store import FakeObjectStore

from penstock.model.outcomes import LoadOutcome, Verdict

pytestmark = ON_REAL_ONES


def test_a_clean_csv_is_loaded_with_its_lineage(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", CLEAN)

    outcomes = load(kit.warehouse, dataset, store, arrival)

    assert outcomes == {arrival.id: LoadOutcome(Verdict.LOADED, rows=3)}
    assert kit.rows(dataset) == CLEAN_ROWS
    assert kit.arrivals_of(dataset) == [arrival.id] * 3


@pytest.mark.parametrize(
    "data",
    [
        b"delay,id,name\r\n-5,1,one\r\n,2,\r\n7,3,three\r\n",
        b"\xef\xbb\xbfid,name,delay\n1,one,-5\n2,,\n3,three,7",
        b'"id","name","delay"\n"1","one","-5"\n"2","",""\n"3","three","7"\n',
        b" id ,name,delay\r1,one,-5\r2,,\r3,three,7\r",
        b"id,name,delay\n1,one,-5\n\n2,,\n3,three,7\n\n",
        b"id,name,delay\n1,one,-5\r\n2,,\n3,three,7\r\n",
    ],
    ids=["any order, CRLF", "BOM, no last line end", "all quoted", "CR", "blank lines", "mixed line ends"],
)
def test_the_same_rows_written_otherwise_are_the_same(kit: Kit, store: FakeObjectStore, data: bytes) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", data)

    outcomes = load(kit.warehouse, dataset, store, arrival)

    assert outcomes == {arrival.id: LoadOutcome(Verdict.LOADED, rows=3)}
    assert kit.rows(dataset) == CLEAN_ROWS


def test_gzip_of_several_members_is_one_file(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv.gz", gzip.compress(CLEAN[:20]) + gzip.compress(CLEAN[20:]))

    load(kit.warehouse, dataset, store, arrival)

    assert kit.rows(dataset) == CLEAN_ROWS


def test_a_file_without_a_header_is_in_the_datasets_order(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of(csv={"header": False, "delimiter": ";", "encoding": "windows-1252"})
    kit.apply(dataset)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", "1;Zoë €;3\n".encode("cp1252"))

    load(kit.warehouse, dataset, store, arrival)

    assert kit.rows(dataset) == [(1, "Zoë €", 3)]


def test_a_header_names_columns_by_their_source(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of([{"name": "id", "type": "integer", "source": "The Id"}, {"name": "b", "type": "text"}])
    kit.apply(dataset)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", b'b,"The Id"\nx,1\n')

    load(kit.warehouse, dataset, store, arrival)

    assert kit.rows(dataset) == [(1, "x")]


def test_a_file_with_a_header_alone_has_no_rows_and_is_loaded(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", b"id,name,delay\n")

    outcomes = load(kit.warehouse, dataset, store, arrival)

    assert outcomes == {arrival.id: LoadOutcome(Verdict.LOADED)}


@pytest.mark.parametrize("markers", [["NA"], ["NA", ""], ["NA", "", "n,a"]])
def test_a_null_marker_is_null_quoted_or_not(kit: Kit, store: FakeObjectStore, markers: list[str]) -> None:
    dataset = dataset_of(null_markers=markers)
    kit.apply(dataset)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", b'id,name,delay\n1,NA,NA\n2,"NA","NA"\n3,NAN,5\n')

    load(kit.warehouse, dataset, store, arrival)

    assert kit.rows(dataset) == [(1, None, None), (2, None, None), (3, "NAN", 5)]


def test_an_empty_text_is_no_null_where_the_dataset_has_other_markers(kit: Kit, store: FakeObjectStore) -> None:
    for markers in (["NA"], ["NA", "-"]):
        dataset = dataset_of(null_markers=markers)
        kit.apply(dataset)
        arrival = store.put(f"incoming/{dataset.prefix}a.csv", b'id,name,delay\n1,,NA\n2,"",NA\n')

        load(kit.warehouse, dataset, store, arrival)

        assert kit.rows(dataset) == [(1, "", None), (2, "", None)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'id,name,delay\n1,5" pipe,1\n2,6" pipe,2\n', [(1, '5" pipe', 1), (2, '6" pipe', 2)]),
        (b'id,name,delay\n1,5"" pipe,1\n', [(1, '5"" pipe', 1)]),
        (b'id,name,delay\n1,5",1\n2,6",2\n', [(1, '5"', 1), (2, '6"', 2)]),
        (b'id,name,delay\n1,"a ""b"" c",1\n2,"",2\n', [(1, 'a "b" c', 1), (2, None, 2)]),
    ],
)
def test_quotes_are_read_as_pythons_csv_module_reads_them(
    kit: Kit, store: FakeObjectStore, data: bytes, expected: list[tuple[object, ...]]
) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", data)

    load(kit.warehouse, dataset, store, arrival)

    assert kit.rows(dataset) == expected


def test_a_line_of_backslash_and_full_stop_does_not_end_the_file(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of([{"name": "name", "type": "text"}])
    kit.apply(dataset)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", b"name\na\n\\.\nb\n")

    load(kit.warehouse, dataset, store, arrival)

    assert kit.rows(dataset) == [("a",), ("\\.",), ("b",)]
