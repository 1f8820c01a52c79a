"""A file that a function has no time for goes to a task, or is set aside with the reason: never begun and cut off."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.search_index import FakeSearchIndex
from tests.fakes.warehouse import FakeWarehouse
from tests.unit.gathering import Gathering
from tests.unit.listing import dataset

from penstock.flows.index_batch import index_batch
from penstock.flows.load_batch import begin_load
from penstock.flows.plan_of import read_plan
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.huge import ASSUMED_RATE, SLOWEST_RATE, USABLE_SECONDS, Bound, is_huge
from penstock.model.memos import DatasetMemo
from penstock.model.outcomes import SettledArrival, SettledBatch, Settlement, Verdict
from penstock.model.plans import Batch, Plan, indexed_key, plan_key, settled_batch_key, summary_key
from penstock.ports import Memo

GB = 10**9
FITS = ASSUMED_RATE * USABLE_SECONDS
CLOCK = FakeClock()


def things(**to: str) -> Dataset:
    columns = [{"name": "id", "type": "integer"}]
    return Dataset.model_validate({"name": "things", "prefix": "things/", "format": "csv", "columns": columns, **to})


def planned(store: FakeObjectStore, *sizes: int, rate: int = 0) -> list[Arrival]:
    """Files of two rows, which the plan says to be of those sizes."""
    arrivals = [
        replace(store.put(f"incoming/things/{number}.csv", b"id\n1\n2\n"), size=size)
        for number, size in enumerate(sizes)
    ]
    plan = Plan("p", CLOCK.now(), (Batch(0, "things", tuple(arrivals), rate),))
    store.put_json(plan_key("p"), plan.to_json())
    return arrivals


@pytest.mark.parametrize(
    ("key", "size", "rate", "huge"),
    [
        ("a.csv", FITS, 0, False),
        ("a.csv", FITS + 1, 0, True),
        ("a.csv", 20 * GB, 0, True),
        ("a.csv", 20 * GB, 50_000_000, False),
        ("a.csv", GB, 1_500_000, True),
        ("a.csv", SLOWEST_RATE * USABLE_SECONDS, 1, False),
        ("a.csv.gz", FITS // 10, 0, False),
        ("a.csv.gz", FITS // 10 + 1, 0, True),
    ],
)
def test_size_and_rate_say_whether_a_function_has_the_time(key: str, size: int, rate: int, huge: bool) -> None:
    arrival = replace(FakeObjectStore().put(f"incoming/things/{key}", b"x"), size=size)

    assert is_huge(things(table="things"), arrival, rate) is huge


def test_what_a_file_may_unpack_to_at_most_bounds_its_time() -> None:
    limited = things(table="things").model_validate(
        {**things(table="things").model_dump(), "limits": {"max_uncompressed": FITS}}
    )
    arrival = replace(FakeObjectStore().put("incoming/things/a.csv.gz", b"x"), size=FITS)

    assert not is_huge(limited, arrival, 0)


def test_without_a_task_it_is_quarantined_by_name_size_rate_and_what_to_set_and_its_neighbours_are_loaded() -> None:
    store, warehouse, known = FakeObjectStore(), FakeWarehouse(), {"things": things(table="things")}
    small, huge = planned(store, 8, 20 * GB, rate=25_000_000)

    answer = begin_load(store, warehouse, known, "p", 0, bound=Bound())

    assert answer["status"] == "done"
    found = warehouse.outcomes(known["things"], [small, huge])
    assert found[small.id].verdict is Verdict.LOADED
    assert found[huge.id].verdict is Verdict.QUARANTINED
    for word in ("20,000,000,000 bytes", "25.0 MB a second", "800 s", "600 s", "TaskImage", "penstock retry"):
        assert word in found[huge.id].reason


def test_with_a_task_a_function_begins_nothing_and_the_task_loads_it() -> None:
    store, warehouse, known = FakeObjectStore(), FakeWarehouse(), {"things": things(table="things")}
    (huge,) = planned(store, 20 * GB)

    asked = begin_load(store, warehouse, known, "p", 0, bound=Bound(has_task=True))
    assert (asked, warehouse.outcomes(known["things"], [huge])) == ({"status": "huge", "handle": ""}, {})

    begin_load(store, warehouse, known, "p", 0)
    assert warehouse.outcomes(known["things"], [huge])[huge.id].verdict is Verdict.LOADED


def test_an_index_is_written_no_half_of_a_file_either() -> None:
    store, search, known = FakeObjectStore(), FakeSearchIndex(), {"things": things(index="things")}
    search.apply(known["things"])
    small, huge = planned(store, 8, 20 * GB)

    answer = index_batch("p", 0, store, None, search, known, CLOCK, bound=Bound())

    assert answer["documents"] == 2
    outcomes = store.get_json(indexed_key("p", 0))
    assert "20,000,000,000 bytes" in outcomes[huge.id]["reason"]
    assert not outcomes[small.id].get("reason")
    assert index_batch("p", 0, store, None, search, known, CLOCK, bound=Bound(has_task=True))["status"] == "huge"


def test_a_huge_file_is_alone_in_its_batch_and_the_plan_says_the_rate() -> None:
    world = Gathering(datasets={"orders": dataset("orders", batch={"max_bytes": 100 * GB})})
    world.put("orders", 3)
    world.leases.keep_memo(Memo("orders", DatasetMemo(rate=SLOWEST_RATE).text()))
    store = world.store
    sizes = {next(store.arrivals("incoming/")).key: SLOWEST_RATE * USABLE_SECONDS + 1}
    listed = store.arrivals
    store.arrivals = lambda *given: (replace(one, size=sizes.get(one.key, one.size)) for one in listed(*given))  # type: ignore[method-assign] # Files of any size.

    [plan] = world.look().plans

    batches = read_plan(store, plan).batches
    assert sorted(len(batch.arrivals) for batch in batches) == [1, 2]
    assert {batch.rate for batch in batches} == {SLOWEST_RATE}


@pytest.mark.parametrize(("put_back", "remembered"), [(0, 10_000_000), (1, 0)])
def test_a_run_that_is_over_shows_the_rate_of_its_large_batches(put_back: int, remembered: int) -> None:
    world = Gathering(datasets={"orders": dataset("orders")})
    world.put("orders", 1)
    store, size = world.store, GB
    listed = store.arrivals
    store.arrivals = lambda *given: (replace(one, size=size) for one in listed(*given))  # type: ignore[method-assign] # Files of any size.
    [plan_id] = world.look().plans
    plan = read_plan(store, plan_id)
    world.clock.advance(timedelta(seconds=100))
    store._at = world.clock.now() - timedelta(seconds=1)
    (arrival,) = plan.arrivals
    settled = SettledBatch(plan_id, 0, "orders", (SettledArrival(arrival.id, arrival.key, Settlement.PROCESSED),))
    store.put_json(settled_batch_key(plan_id, 0), settled.to_json())
    store.put_json(summary_key(plan_id), {"datasets": {"orders": {"put_back": put_back, "died": 0, "failed": 0}}})
    del store._versions[arrival.key]
    world.runs.finish(plan_id)

    world.look()

    rate = DatasetMemo.of(world.leases.memos()["orders"].text).rate if "orders" in world.leases.memos() else 0
    assert rate == pytest.approx(remembered, rel=0.05)
