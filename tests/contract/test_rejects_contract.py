"""Bad rows and bad files, on every real warehouse: rejects with their reasons, or the file set aside whole."""

from __future__ import annotations

import gzip

import pytest
from tests.contract.warehouses import CLEAN, ON_REAL_ONES, Kit, dataset_of, load, rejects
from tests.fakes.object_store import FakeObjectStore

from penstock.model.outcomes import LoadOutcome, Reject, Verdict

pytestmark = ON_REAL_ONES


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
