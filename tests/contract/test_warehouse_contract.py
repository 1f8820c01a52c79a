"""What every warehouse does, whichever it is."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.conftest import Postgres
from tests.contract.redshift import BUCKET, RedshiftKit
from tests.contract.warehouses import Kit, PostgresKit, RealKit, dataset_of, load, rejects
from tests.fakes.object_store import FakeObjectStore

from penstock.model.arrivals import Arrival
from penstock.model.errors import DestinationDownError, PermanentError, TransientError, down_in
from penstock.model.outcomes import LoadOutcome, Reject, Verdict
from penstock.model.plans import Batch
from penstock.model.streams import ByteStream


@pytest.fixture(params=["postgres", "postgres_15", "redshift"])
def kit(request: pytest.FixtureRequest) -> Iterator[RealKit]:
    redshift = request.param == "redshift"
    postgres: Postgres = request.getfixturevalue("postgres" if redshift else request.param)
    roles = postgres.owner, postgres.loader, postgres.superuser
    made = RedshiftKit(lambda: postgres.superuser) if redshift else PostgresKit(*roles)
    yield made
    made.close()


class _Breaks(FakeObjectStore):
    """A store whose streams break off after so many bytes."""

    after = 20

    @contextmanager
    def open(self, arrival: Arrival) -> Iterator[ByteStream]:
        with super().open(arrival) as stream:
            yield _Broken(stream, self.after)


class _Broken:
    def __init__(self, stream: ByteStream, after: int) -> None:
        self._stream = stream
        self._left = after

    def read(self, size: int, /) -> bytes:
        if not self._left:
            raise TransientError("the connection to S3 was reset")
        piece = self._stream.read(min(size, self._left))
        self._left -= len(piece)
        return piece


CLEAN = b"id,name,delay\n1,one,-5\n2,,\n3,three,7\n"
CLEAN_ROWS = [(1, "one", -5), (2, None, None), (3, "three", 7)]


# ── clean files ─────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── bad rows and bad files ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("markers", [[""], ["", "NA"]])
def test_bad_rows_are_rejected_with_line_column_and_reason(
    kit: Kit, store: FakeObjectStore, markers: list[str]
) -> None:
    dataset = dataset_of(max_reject_ratio=0.9, null_markers=markers)
    kit.apply(dataset)
    data = (
        b'id,name,delay\n1,"two\nlines",5\n2,b,soon\n,c,1\n4,d\n5,e,1,2\n6,f,99999\n7,"g ""quoted""",7\n'
        b"x,h,9\n9,i\\,9\n"
    )
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", data)

    outcomes = load(kit.warehouse, dataset, store, arrival)

    assert outcomes == {arrival.id: LoadOutcome(Verdict.LOADED, rows=3, rejects=6)}
    assert kit.rows(dataset) == [(1, "two\nlines", 5), (7, 'g "quoted"', 7), (9, "i\\", 9)]
    assert rejects(kit.warehouse, dataset, arrival) == [
        Reject(
            4,
            "delay",
            "invalid input syntax for type smallint; write a whole number from -32768 to 32767",
            "2,b,soon\n",
        ),
        Reject(
            5,
            "id",
            "it is null, and the column is required; fill it, or take `required` out of the dataset's column",
            ",c,1\n",
        ),
        Reject(6, "", "2 columns where 3 were expected; quote what holds a delimiter or a line end", "4,d\n"),
        Reject(7, "", "4 columns where 3 were expected; quote what holds a delimiter or a line end", "5,e,1,2\n"),
        Reject(
            8,
            "delay",
            "value is out of range for type smallint; write a whole number from -32768 to 32767",
            "6,f,99999\n",
        ),
        Reject(
            10,
            "id",
            "invalid input syntax for type integer; write a whole number from -2147483648 to 2147483647",
            "x,h,9\n",
        ),
    ]


def test_more_rejects_than_allowed_quarantine_the_file_whole(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", b"id,name,delay\n1,a,1\n2,b,soon\n")

    outcomes = load(kit.warehouse, dataset, store, arrival)

    reason = (
        "1 of 2 rows was rejected (0 allowed): line 3, column delay: invalid input syntax for type smallint; "
        "write a whole number from -32768 to 32767. "
        "Mend the file, or raise max_reject_ratio of the dataset"
    )
    assert outcomes == {arrival.id: LoadOutcome(Verdict.QUARANTINED, rejects=1, reason=reason)}
    assert kit.rows(dataset) == []
    assert [reject.line for reject in rejects(kit.warehouse, dataset, arrival)] == [3]


def test_the_allowed_share_is_counted_exactly(kit: Kit, store: FakeObjectStore) -> None:
    # 0.29 * 100 is 28.999999999999996 in floating point.
    dataset = dataset_of(max_reject_ratio=0.29)
    kit.apply(dataset)
    lines = [b"%d,a,%s\n" % (number, b"x" if number < 29 else b"1") for number in range(100)]
    at_limit = store.put(f"incoming/{dataset.prefix}a.csv", b"id,name,delay\n" + b"".join(lines))
    lines[50] = b"50,a,x\n"
    above = store.put(f"incoming/{dataset.prefix}b.csv", b"id,name,delay\n" + b"".join(lines))

    outcomes = load(kit.warehouse, dataset, store, at_limit, above)

    assert outcomes[at_limit.id] == LoadOutcome(Verdict.LOADED, rows=71, rejects=29)
    assert outcomes[above.id].verdict is Verdict.QUARANTINED
    assert outcomes[above.id].reason.startswith("30 of 100 rows were rejected (29 allowed): line 2, column delay: ")


def test_a_quarantined_file_keeps_its_first_thousand_rejects_and_their_exact_number(
    kit: Kit, store: FakeObjectStore
) -> None:
    dataset = dataset_of(max_reject_ratio=0.5)
    kit.apply(dataset)
    lines = b"".join(b"%d,a,x\n" % number for number in range(1500))
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", b"id,name,delay\n" + lines)

    outcomes = load(kit.warehouse, dataset, store, arrival)

    assert outcomes[arrival.id].rejects == 1500
    assert [reject.line for reject in rejects(kit.warehouse, dataset, arrival)] == list(range(2, 1002))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"id,name,departure_delay\n1,a,1\n", "the header changed: column delay is missing; column departure_delay"),
        (b"id,name,delay,name\n1,a,1,b\n", "column name is there twice"),
        (b"id,name,delay\n1,\xff,1\n", "line 2 holds a byte (0xff) that is not utf-8"),
        (b"id,name,delay\n1,a\0b,1\n", "there is a NUL byte on line 2"),
        (b'id,name,delay\n1,"a,1\n2,b,2\n', "a quote that is never closed"),
        ("id,name,delay\n".encode("utf-16"), "the file is UTF-16"),
    ],
    ids=["empty", "renamed", "twice", "encoding", "NUL", "open quote", "UTF-16"],
)
def test_a_file_that_is_none_is_quarantined_and_its_neighbours_are_loaded(
    kit: Kit, store: FakeObjectStore, data: bytes, reason: str
) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    before = store.put(f"incoming/{dataset.prefix}a.csv", CLEAN)
    bad = store.put(f"incoming/{dataset.prefix}b.csv", data)
    after = store.put(f"incoming/{dataset.prefix}c.csv", CLEAN)

    outcomes = load(kit.warehouse, dataset, store, before, bad, after)

    assert outcomes[bad.id].verdict is Verdict.QUARANTINED
    assert reason in outcomes[bad.id].reason
    assert [outcomes[a.id].verdict for a in (before, after)] == [Verdict.LOADED, Verdict.LOADED]
    assert sorted(kit.arrivals_of(dataset)) == sorted([before.id] * 3 + [after.id] * 3)


@pytest.mark.parametrize("cut", [12, 40])
def test_a_truncated_gzip_is_quarantined(kit: Kit, store: FakeObjectStore, cut: int) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv.gz", gzip.compress(CLEAN)[:cut])

    outcomes = load(kit.warehouse, dataset, store, arrival)

    assert outcomes[arrival.id].verdict is Verdict.QUARANTINED
    assert outcomes[arrival.id].reason == "the gzip data ends early: the upload was cut off; send the file again"
    assert kit.rows(dataset) == []


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


# ── JSON Lines ──────────────────────────────────────────────────────────────────────────────────────────────────────

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


# ── once ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_beginning_again_changes_nothing(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    good = store.put(f"incoming/{dataset.prefix}a.csv", CLEAN)
    bad = store.put(f"incoming/{dataset.prefix}b.csv", b"nothing\n")
    first = load(kit.warehouse, dataset, store, good, bad)

    again = load(kit.another(), dataset, store, bad, good)

    assert again == first
    assert kit.rows(dataset) == CLEAN_ROWS


def test_batches_that_overlap_and_run_at_once_load_each_file_once(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    files = [store.put(f"incoming/{dataset.prefix}{number}.csv", CLEAN) for number in range(20)]
    clients = [kit.another() for _ in range(4)]
    start = threading.Barrier(len(clients))
    errors: list[Exception] = []

    def work(number: int) -> None:
        mine = files[number:] + files[:number]
        start.wait()
        try:
            load(clients[number], dataset, store, *mine)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert not errors
    assert sorted(kit.arrivals_of(dataset)) == sorted([file.id for file in files] * 3)


def test_a_stream_that_breaks_off_leaves_nothing_and_can_be_tried_again(kit: Kit) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    store = _Breaks(BUCKET)
    files = [store.put(f"incoming/{dataset.prefix}{number}.csv", CLEAN) for number in range(2)]
    with pytest.raises(TransientError, match="reset"):
        load(kit.warehouse, dataset, store, *files)
    assert kit.warehouse.outcomes(dataset, files) == {}
    assert kit.rows(dataset) == []

    store.after = 10_000
    outcomes = load(kit.warehouse, dataset, store, *files)

    assert [outcome.rows for outcome in outcomes.values()] == [3, 3]


def test_a_version_that_is_gone_is_set_aside_and_its_neighbour_loaded(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    there = store.put(f"incoming/{dataset.prefix}a.csv", CLEAN)
    gone = replace(there, version_id="gone", etag="e")

    outcomes = load(kit.warehouse, dataset, store, gone, there)

    assert outcomes[gone.id].verdict is Verdict.QUARANTINED
    assert outcomes[there.id].rows == 3


def test_when_no_version_can_be_read_the_error_is_not_the_files(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    gone = replace(store.put(f"incoming/{dataset.prefix}a.csv", CLEAN), version_id="gone")

    with pytest.raises(PermanentError, match="NoSuchVersion"):
        load(kit.warehouse, dataset, store, gone)

    assert kit.warehouse.outcomes(dataset, [gone]) == {}


# ── the same key again ──────────────────────────────────────────────────────────────────────────────────────────────

OTHER = b"id,name,delay\n9,nine,9\n"


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
@pytest.mark.parametrize(
    ("on_overwrite", "expected"), [("append", [*CLEAN_ROWS, (9, "nine", 9)]), ("replace", [(9, "nine", 9)])]
)
def test_a_key_put_again_with_other_content(
    kit: Kit, store: FakeObjectStore, on_overwrite: str, expected: list[tuple[object, ...]], together: bool
) -> None:
    dataset = dataset_of(on_overwrite=on_overwrite)
    kit.apply(dataset)
    key = f"incoming/{dataset.prefix}a.csv"
    first, second = store.put(key, CLEAN), store.put(key, OTHER)

    for batch in [(first, second)] if together else [(first,), (second,)]:
        load(kit.warehouse, dataset, store, *batch)

    assert kit.rows(dataset) == expected
    outcomes = kit.warehouse.outcomes(dataset, [first, second])
    assert outcomes[first.id].rows == 3
    assert outcomes[second.id].replaced == ((first.id,) if on_overwrite == "replace" else ())
    later = kit.warehouse.outcomes(dataset, [first, second])
    assert [later[one.id].is_replaced for one in (first, second)] == [on_overwrite == "replace", False]


def test_refuse_quarantines_a_key_put_again_with_other_content(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of(on_overwrite="refuse")
    kit.apply(dataset)
    key = f"incoming/{dataset.prefix}a.csv"
    first, second = store.put(key, CLEAN), store.put(key, OTHER)
    load(kit.warehouse, dataset, store, first)

    outcomes = load(kit.warehouse, dataset, store, second)

    assert outcomes[second.id].verdict is Verdict.QUARANTINED
    assert f"arrival {first.id}" in outcomes[second.id].reason
    assert kit.rows(dataset) == CLEAN_ROWS


@pytest.mark.parametrize("on_overwrite", ["append", "replace", "refuse"])
def test_the_same_content_under_the_same_key_is_a_duplicate(
    kit: Kit, store: FakeObjectStore, on_overwrite: str
) -> None:
    dataset = dataset_of(on_overwrite=on_overwrite)
    kit.apply(dataset)
    key = f"incoming/{dataset.prefix}a.csv"
    first, second = store.put(key, CLEAN), store.put(key, CLEAN)
    elsewhere = store.put(f"incoming/{dataset.prefix}b.csv", CLEAN)
    load(kit.warehouse, dataset, store, first)

    outcomes = load(kit.warehouse, dataset, store, second, elsewhere)

    assert outcomes[second.id] == LoadOutcome(Verdict.DUPLICATE)
    assert outcomes[elsewhere.id] == LoadOutcome(Verdict.LOADED, rows=3)


def test_a_duplicate_is_known_before_it_is_loaded(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    key = f"incoming/{dataset.prefix}a.csv"
    first, other, again = store.put(key, CLEAN), store.put(key, CLEAN + b"4,,\n"), store.put(key, CLEAN)
    elsewhere = store.put(f"incoming/{dataset.prefix}b.csv", CLEAN)
    load(kit.warehouse, dataset, store, first)

    found = kit.warehouse.duplicates(dataset, [first, other, again, elsewhere])

    assert found == {again.id}


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "three batches"])
def test_content_that_was_replaced_may_come_back(kit: Kit, store: FakeObjectStore, together: bool) -> None:
    dataset = dataset_of(on_overwrite="replace")
    kit.apply(dataset)
    key = f"incoming/{dataset.prefix}a.csv"
    versions = tuple(store.put(key, data) for data in (CLEAN, OTHER, CLEAN))

    for batch in [versions] if together else [(version,) for version in versions]:
        load(kit.warehouse, dataset, store, *batch)

    assert kit.rows(dataset) == CLEAN_ROWS
    replaced = [kit.warehouse.outcomes(dataset, [version])[version.id].replaced for version in versions]
    assert replaced == [(), (versions[0].id,), (versions[1].id,)]


def test_a_bad_version_replaces_nothing(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of(on_overwrite="replace")
    kit.apply(dataset)
    key = f"incoming/{dataset.prefix}a.csv"
    first, bad, mended = (store.put(key, data) for data in (CLEAN, b"id,name,delay\n1,a,x\n", OTHER))
    load(kit.warehouse, dataset, store, first)

    load(kit.warehouse, dataset, store, bad)
    assert kit.rows(dataset) == CLEAN_ROWS

    outcomes = load(kit.warehouse, dataset, store, mended)
    assert outcomes[mended.id].replaced == (first.id,)
    assert kit.rows(dataset) == [(9, "nine", 9)]


def test_a_version_that_needs_repair_replaces_as_well(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of(on_overwrite="replace", max_reject_ratio=0.5)
    kit.apply(dataset)
    key = f"incoming/{dataset.prefix}a.csv"
    first, second = store.put(key, CLEAN), store.put(key, OTHER + b"x,,\n")
    load(kit.warehouse, dataset, store, first)

    outcomes = load(kit.warehouse, dataset, store, second)

    assert outcomes[second.id] == LoadOutcome(Verdict.LOADED, rows=1, rejects=1, replaced=(first.id,))
    assert kit.rows(dataset) == [(9, "nine", 9)]


# ── the ledger ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_quarantine_decides_only_what_is_undecided(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    loaded = store.put(f"incoming/{dataset.prefix}a.csv", CLEAN)
    crashes = store.put(f"incoming/{dataset.prefix}b.csv", CLEAN)
    load(kit.warehouse, dataset, store, loaded)

    kit.warehouse.quarantine(dataset, [loaded, crashes], "it crashed five times")
    kit.warehouse.quarantine(dataset, [crashes], "later")

    outcomes = load(kit.warehouse, dataset, store, loaded, crashes)
    assert outcomes[loaded.id].verdict is Verdict.LOADED
    assert outcomes[crashes.id] == LoadOutcome(Verdict.QUARANTINED, reason="it crashed five times")
    assert kit.rows(dataset) == CLEAN_ROWS


def test_an_arrival_no_one_decided_has_no_outcome(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", CLEAN)

    assert kit.warehouse.outcomes(dataset, [arrival]) == {}
    assert rejects(kit.warehouse, dataset, arrival) == []


def test_two_tables_decide_apart(kit: Kit, store: FakeObjectStore) -> None:
    one, other = dataset_of(), dataset_of()
    arrival = store.put("incoming/a.csv", CLEAN)
    for dataset in (one, other):
        kit.apply(dataset)
        load(kit.warehouse, dataset, store, arrival)

    assert kit.rows(one) == kit.rows(other) == CLEAN_ROWS


def test_keys_may_hold_any_character(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    names = ["a b", "a+b", "100%", "naïve", "new\nline", "nul\0", "\ud800", "'; DROP TABLE penstock.load; --", "{}%s"]
    files = [replace(store.put(str(n), CLEAN), key=name) for n, name in enumerate(names)]

    for file in files:
        kit.warehouse.quarantine(dataset, [file], f"key {file.key} {{}} %s")

    assert len(kit.warehouse.outcomes(dataset, files)) == len(names)


def test_a_missing_table_is_the_warehouse_down_for_that_dataset(kit: Kit, store: FakeObjectStore) -> None:
    kit.apply(dataset_of())
    dataset = dataset_of()
    arrival = store.put("incoming/a.csv", CLEAN)

    with pytest.raises(DestinationDownError, match="penstock apply") as down:
        load(kit.warehouse, dataset, store, arrival)

    assert down.value.destination == down_in(str(down.value)) == f"warehouse/{dataset.name}"
    assert kit.warehouse.outcomes(dataset, [arrival]) == {}


def test_a_warehouse_that_lets_nobody_in_is_down_whatever_it_is_asked(kit: RealKit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    arrival = store.put("incoming/a.csv", CLEAN)
    batch = Batch(0, dataset.name, (arrival,))
    asked: list[Callable[[], object]] = [
        lambda: kit.warehouse.begin(batch, dataset, store),
        lambda: kit.warehouse.outcomes(dataset, [arrival]),
        lambda: kit.warehouse.quarantine(dataset, [arrival], "given up"),
        lambda: list(kit.warehouse.ledger(dataset)),
        lambda: list(kit.warehouse.rows_by_arrival(dataset)),
    ]

    with kit.down():
        for ask in asked:
            with pytest.raises(DestinationDownError) as down:
                ask()
            assert down.value.destination == down_in(str(down.value)) == "warehouse"

    assert load(kit.warehouse, dataset, store, arrival)[arrival.id].rows == 3
    assert kit.rows(dataset) == CLEAN_ROWS
