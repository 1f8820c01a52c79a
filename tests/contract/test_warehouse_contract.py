"""What a real warehouse decides and says of arrivals and tables, and when it is down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.contract.warehouses import CLEAN, CLEAN_ROWS, ON_REAL_ONES, Kit, RealKit, dataset_of, load, rejects
from tests.fakes.object_store import FakeObjectStore

from penstock.model.errors import DestinationDownError, down_in
from penstock.model.outcomes import LoadOutcome, Verdict
from penstock.model.plans import Batch

pytestmark = ON_REAL_ONES


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
