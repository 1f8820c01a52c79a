"""A key that is put again, on every real warehouse: a duplicate, or as `on_overwrite` has it."""

from __future__ import annotations

import pytest
from tests.contract.warehouses import CLEAN, CLEAN_ROWS, ON_REAL_ONES, Kit, dataset_of, load
from tests.fakes.object_store import FakeObjectStore

from penstock.model.outcomes import LoadOutcome, Verdict

pytestmark = ON_REAL_ONES
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
