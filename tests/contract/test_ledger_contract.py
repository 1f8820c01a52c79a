"""What settling relies on in a `Warehouse`, of the fake, PostgreSQL and Redshift: the ledger decides, once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.contract.redshift import BUCKET
from tests.contract.warehouses import Kit, dataset_of, load, rejects
from tests.fakes.object_store import FakeObjectStore

from penstock.model.arrivals import Arrival, Location
from penstock.model.datasets import Dataset
from penstock.model.outcomes import Verdict
from penstock.model.streams import ByteStream
from penstock.ports import Warehouse

CLEAN = b"id,name,delay\n1,one,-5\n2,,\n"
BAD_ROW = b"id,name,delay\n1,one,1\nx,two,2\n3,three,3\n"


def made(kit: Kit, **changes: Any) -> tuple[Dataset, Warehouse]:
    dataset = dataset_of(**changes)
    kit.apply(dataset)
    return dataset, kit.warehouse


def test_a_batch_is_loaded_once(kit: Kit, store: FakeObjectStore) -> None:
    dataset, warehouse = made(kit)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", CLEAN)

    first = load(warehouse, dataset, store, arrival)
    again = load(warehouse, dataset, store, arrival)

    assert first == again
    assert (first[arrival.id].verdict, first[arrival.id].rows) == (Verdict.LOADED, 2)
    assert len(kit.rows(dataset)) == 2


def test_a_bad_file_is_quarantined_with_its_rejects_beside_a_good_one(kit: Kit, store: FakeObjectStore) -> None:
    dataset, warehouse = made(kit)
    bad = store.put(f"incoming/{dataset.prefix}bad.csv", BAD_ROW)
    none = store.put(f"incoming/{dataset.prefix}none.csv", b"what,is,this\n1,2,3\n")
    good = store.put(f"incoming/{dataset.prefix}good.csv", CLEAN)

    outcomes = load(warehouse, dataset, store, bad, none, good)

    assert [outcomes[one.id].verdict for one in (bad, none, good)] == [
        Verdict.QUARANTINED,
        Verdict.QUARANTINED,
        Verdict.LOADED,
    ]
    assert outcomes[bad.id].reason
    assert (outcomes[bad.id].rows, outcomes[bad.id].rejects) == (0, 1)
    assert [(one.line, one.column) for one in rejects(warehouse, dataset, bad)] == [(3, "id")]
    assert len(kit.rows(dataset)) == 2


def test_rejects_within_tolerance_leave_the_rest_loaded(kit: Kit, store: FakeObjectStore) -> None:
    dataset, warehouse = made(kit, max_reject_ratio=0.5)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", BAD_ROW)

    outcome = load(warehouse, dataset, store, arrival)[arrival.id]

    assert (outcome.verdict, outcome.rows, outcome.rejects) == (Verdict.LOADED, 2, 1)
    assert [one.line for one in rejects(warehouse, dataset, arrival)] == [3]


@pytest.mark.parametrize("name", ["nul\0", "back\\slash", "back\\x00", "\\" * 900, "a\\" * 450])
def test_identical_bytes_put_again_are_a_duplicate_whatever_characters_the_key_holds(
    kit: Kit, store: FakeObjectStore, name: str
) -> None:
    dataset, warehouse = made(kit)
    first, second = (store.put(f"incoming/{dataset.prefix}{name}.csv", CLEAN) for _ in range(2))

    load(warehouse, dataset, store, first)
    known = warehouse.duplicates(dataset, [second])
    outcome = load(warehouse, dataset, store, second)[second.id]

    assert known == {second.id}
    assert outcome.verdict is Verdict.DUPLICATE
    assert len(kit.rows(dataset)) == 2


def test_keys_that_differ_in_what_a_warehouse_takes_in_no_text_are_two(kit: Kit, store: FakeObjectStore) -> None:
    dataset, warehouse = made(kit)
    nul, named = (store.put(f"incoming/{dataset.prefix}{name}.csv", CLEAN) for name in ("a\0", "a\\x00"))

    outcomes = {**load(warehouse, dataset, store, nul), **load(warehouse, dataset, store, named)}

    assert {outcomes[one.id].verdict for one in (nul, named)} == {Verdict.LOADED}
    assert {entry.key for entry in warehouse.ledger(dataset)} == {nul.key, named.key}


def test_identical_bytes_put_again_are_a_duplicate(kit: Kit, store: FakeObjectStore) -> None:
    dataset, warehouse = made(kit)
    first, again = [store.put(f"incoming/{dataset.prefix}a.csv", CLEAN) for _ in range(2)]

    load(warehouse, dataset, store, first)
    outcome = load(warehouse, dataset, store, again)[again.id]

    assert (outcome.verdict, outcome.rows) == (Verdict.DUPLICATE, 0)
    assert len(kit.rows(dataset)) == 2


@pytest.mark.parametrize(
    ("how", "verdict", "rows"),
    [("append", Verdict.LOADED, 3), ("replace", Verdict.LOADED, 1), ("refuse", Verdict.QUARANTINED, 2)],
)
def test_other_content_under_the_same_key_does_what_the_dataset_says(
    kit: Kit, store: FakeObjectStore, how: str, verdict: Verdict, rows: int
) -> None:
    dataset, warehouse = made(kit, on_overwrite=how)
    old = store.put(f"incoming/{dataset.prefix}a.csv", CLEAN)
    new = store.put(f"incoming/{dataset.prefix}a.csv", b"id,name,delay\n9,nine,\n")

    load(warehouse, dataset, store, old)
    outcome = load(warehouse, dataset, store, new)[new.id]

    assert outcome.verdict is verdict
    assert outcome.replaced == ((old.id,) if how == "replace" else ())
    assert len(kit.rows(dataset)) == rows


def test_a_quarantine_is_final_and_overrules_nothing(kit: Kit, store: FakeObjectStore) -> None:
    dataset, warehouse = made(kit)
    loaded = store.put(f"incoming/{dataset.prefix}a.csv", CLEAN)
    given_up = store.put(f"incoming/{dataset.prefix}b.csv", CLEAN)
    load(warehouse, dataset, store, loaded)

    before = dict(warehouse.outcomes(dataset, [given_up]))
    warehouse.quarantine(dataset, [loaded, given_up], "given up")
    outcomes = load(warehouse, dataset, store, loaded, given_up)

    assert before == {}
    assert outcomes[loaded.id].verdict is Verdict.LOADED
    assert (outcomes[given_up.id].verdict, outcomes[given_up.id].reason) == (Verdict.QUARANTINED, "given up")
    assert len(kit.rows(dataset)) == 2


def test_the_whole_ledger_can_be_read_with_what_replaced_what(
    kit: Kit, store: FakeObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.adapters.postgres.ledger._PAGE", 2)
    dataset, warehouse = made(kit, on_overwrite="replace")
    bad = store.put(f"incoming/{dataset.prefix}bad.csv", BAD_ROW)
    first, again = [store.put(f"incoming/{dataset.prefix}a.csv", CLEAN) for _ in range(2)]
    new = store.put(f"incoming/{dataset.prefix}a.csv", b"id,name,delay\n9,nine,\n")
    other, _ = made(kit)
    load(warehouse, other, store, store.put(f"incoming/{other.prefix}a.csv", CLEAN))

    for arrival in (bad, first, again, new):
        load(warehouse, dataset, store, arrival)
    ledger = {entry.arrival: entry for entry in warehouse.ledger(dataset)}
    second, *beyond = list(ledger)[1:]

    assert list(ledger) == sorted(ledger)
    assert [entry.arrival for entry in warehouse.ledger(dataset, second)] == beyond
    assert {one: (entry.verdict, entry.rows, entry.rejects) for one, entry in ledger.items()} == {
        bad.id: (Verdict.QUARANTINED, 0, 1),
        first.id: (Verdict.LOADED, 2, 0),
        again.id: (Verdict.DUPLICATE, 0, 0),
        new.id: (Verdict.LOADED, 1, 0),
    }
    assert [one for one, entry in ledger.items() if entry.replaced_by] == [first.id]
    entry = ledger[new.id]
    assert (entry.dataset, entry.key, entry.version_id, entry.size) == (
        dataset.name,
        new.key,
        new.version_id,
        new.size,
    )
    assert ledger[first.id].replaced_by == new.id
    assert entry.decided.tzinfo is not None


# ── retries ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def retried(arrival: Arrival, times: int = 1) -> Arrival:
    """As an operator's retry plans it."""
    lies = Location(f"failed/things/{arrival.id}-a.csv", (arrival.version_id,))
    return replace(arrival, location=lies, retry=times)


class _Anywhere(FakeObjectStore):
    """A store in which a retried arrival's bytes are still where they came."""

    @contextmanager
    def open(self, arrival: Arrival) -> Iterator[ByteStream]:
        with super().open(replace(arrival, location=None)) as stream:
            yield stream


def test_a_quarantine_of_a_lesser_retry_does_not_bind(kit: Kit) -> None:
    store = _Anywhere(BUCKET)
    dataset, warehouse = made(kit)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", BAD_ROW)
    load(warehouse, dataset, store, arrival)
    tolerant = dataset.model_copy(update={"max_reject_ratio": 0.5})

    before = dict(warehouse.outcomes(tolerant, [retried(arrival)]))
    outcome = load(warehouse, tolerant, store, retried(arrival))[arrival.id]
    again = load(warehouse, tolerant, store, retried(arrival), retried(arrival, 2))[arrival.id]

    assert before == {}
    assert (outcome.verdict, outcome.rows, outcome.rejects) == (Verdict.LOADED, 2, 1)
    assert again == outcome
    assert len(kit.rows(dataset)) == 2
    assert [one.line for one in rejects(warehouse, dataset, retried(arrival))] == [3]


def test_a_retry_that_fails_again_is_decided_once(kit: Kit) -> None:
    store = _Anywhere(BUCKET)
    dataset, warehouse = made(kit)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", BAD_ROW)
    load(warehouse, dataset, store, arrival)

    warehouse.quarantine(dataset, [retried(arrival)], "given up")
    late = load(warehouse, dataset.model_copy(update={"max_reject_ratio": 0.5}), store, retried(arrival))[arrival.id]

    assert (late.verdict, late.reason, late.rejects) == (Verdict.QUARANTINED, "given up", 0)
    assert rejects(warehouse, dataset, retried(arrival)) == []
    assert len(kit.rows(dataset)) == 0


def test_a_retry_of_what_is_loaded_adds_nothing(kit: Kit) -> None:
    store = _Anywhere(BUCKET)
    dataset, warehouse = made(kit)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", CLEAN)
    load(warehouse, dataset, store, arrival)

    warehouse.quarantine(dataset, [retried(arrival)], "given up")
    outcome = load(warehouse, dataset, store, retried(arrival))[arrival.id]

    assert outcome.verdict is Verdict.LOADED
    assert len(kit.rows(dataset)) == 2


def test_a_retried_version_does_not_replace_a_later_one(kit: Kit) -> None:
    store = _Anywhere(BUCKET)
    dataset, warehouse = made(kit, on_overwrite="replace")
    older = store.put(f"incoming/{dataset.prefix}a.csv", BAD_ROW)
    later = store.put(f"incoming/{dataset.prefix}a.csv", CLEAN)
    load(warehouse, dataset, store, older)
    load(warehouse, dataset, store, later)

    outcome = load(warehouse, dataset.model_copy(update={"max_reject_ratio": 0.5}), store, retried(older))[older.id]

    assert (outcome.verdict, outcome.replaced) == (Verdict.QUARANTINED, ())
    assert "later version" in outcome.reason
    assert len(kit.rows(dataset)) == 2
