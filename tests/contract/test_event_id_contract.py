"""A table with `event_id`, in every warehouse: each event once, in whatever files and batches it comes again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.redshift import BUCKET
from tests.contract.warehouses import NOON, FakeKit, Kit, dataset_of, load, put
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.search_index import FakeSearchIndex

from penstock.flows.index_batch import Indexing
from penstock.model.datasets import Dataset
from penstock.model.outcomes import LoadOutcome, Verdict

COLUMNS: list[dict[str, Any]] = [
    {"name": "event_id", "type": "text", "required": True},
    {"name": "type", "type": "text"},
    {"name": "n", "type": "integer"},
]


def events(**changes: Any) -> Dataset:
    index = {"name": "events", "id_columns": ["event_id"]}
    return dataset_of(COLUMNS, **{"format": "jsonl", "event_id": "event_id", "index": index, **changes})


def lines(*wanted: tuple[str, Any]) -> bytes:
    return b"".join(json.dumps({"event_id": id_, "type": "click", "n": n}).encode() + b"\n" for id_, n in wanted)


def table(kit: Kit, dataset: Dataset) -> list[tuple[str, int]]:
    return sorted((id_, int(n)) for id_, _, n in kit.rows(dataset))


def loaded(rows: int, repeats: int, rejects: int = 0) -> LoadOutcome:
    return LoadOutcome(Verdict.LOADED, rows=rows, repeats=repeats, rejects=rejects)


def test_an_event_that_comes_again_in_a_file_a_batch_or_a_run_is_loaded_once_and_counted(
    kit: Kit, store: FakeObjectStore
) -> None:
    dataset = events()
    kit.apply(dataset)
    first = put(store, dataset, "1", lines(("a", 1), ("b", 1), ("a", 2)))
    second = put(store, dataset, "2", lines(("b", 3), ("c", 3)), 1)
    third = put(store, dataset, "3", lines(("c", 4), ("a", 4)), 2)

    outcomes = load(kit.warehouse, dataset, store, first, second) | load(kit.warehouse, dataset, store, third)

    assert table(kit, dataset) == [("a", 1), ("b", 1), ("c", 3)]
    assert [outcomes[one.id] for one in (first, second, third)] == [loaded(2, 1), loaded(1, 1), loaded(0, 2)]
    assert dict(kit.warehouse.rows_by_arrival(dataset)) == {first.id: 2, second.id: 1}
    assert {entry.arrival: (entry.rows, entry.repeats) for entry in kit.warehouse.ledger(dataset)} == {
        first.id: (2, 1),
        second.id: (1, 1),
        third.id: (0, 2),
    }


def test_rejects_are_no_repeats_and_a_bad_files_events_are_loaded_by_the_next(kit: Kit, store: FakeObjectStore) -> None:
    dataset = events(max_reject_ratio=0.5)
    kit.apply(dataset)
    some = put(store, dataset, "1", lines(("a", 1), ("a", "x"), ("a", 2), ("b", "y"), ("c", 1)))
    bad = put(store, dataset, "2", lines(("d", 1), ("d", "x"), ("e", "x")))
    good = put(store, dataset, "3", lines(("d", 2), ("b", 2)))

    outcomes = load(kit.warehouse, dataset, store, some, bad, good)

    assert outcomes[some.id] == loaded(2, 1, rejects=2)
    assert (outcomes[bad.id].verdict, outcomes[bad.id].repeats) == (Verdict.QUARANTINED, 0)
    assert outcomes[good.id] == loaded(2, 0)
    assert table(kit, dataset) == [("a", 1), ("b", 2), ("c", 1), ("d", 2)]


def test_a_load_that_is_done_again_counts_as_it_did(kit: Kit, store: FakeObjectStore) -> None:
    dataset = events()
    kit.apply(dataset)
    arrival = put(store, dataset, "1", lines(("a", 1), ("a", 2)))

    outcomes = [load(kit.warehouse, dataset, store, arrival) for _ in range(2)]

    assert outcomes == [{arrival.id: loaded(1, 1)}] * 2
    assert table(kit, dataset) == [("a", 1)]


_FILES = st.lists(
    st.tuples(st.lists(st.sampled_from("abcde"), min_size=1, max_size=5), st.integers(0, 2)), min_size=2, max_size=5
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=_FILES, data=st.data())
def test_in_any_files_order_and_batches_the_table_has_each_event_once_and_so_has_the_index(
    kit: Kit, files: Sequence[tuple[Sequence[str], int]], data: st.DataObject
) -> None:
    store, search = FakeObjectStore(BUCKET), FakeSearchIndex()
    dataset = events()
    kit.apply(dataset)
    arrivals = [
        put(store, dataset, f"{name}", lines(*((id_, 10 * name + place) for place, id_ in enumerate(ids))), minute)
        for name, (ids, minute) in enumerate(files)
    ]
    order = data.draw(st.permutations(arrivals))
    cut = data.draw(st.integers(1, len(order) - 1))

    outcomes: dict[str, LoadOutcome] = {}
    for batch in (order[:cut], order[cut:]):
        outcomes |= load(kit.warehouse, dataset, store, *batch)
        for arrival in data.draw(st.permutations(batch)):
            Indexing(dataset, "events", store, search, NOON).index_merged(arrival, kit.warehouse)

    assert [id_ for id_, _ in table(kit, dataset)] == sorted({id_ for ids, _ in files for id_ in ids})
    for arrival, (ids, _) in zip(arrivals, files, strict=True):
        assert outcomes[arrival.id].rows + outcomes[arrival.id].repeats == len(ids)
    there = Counter(kit.arrivals_of(dataset))
    assert there == +Counter({id_: outcome.rows for id_, outcome in outcomes.items()})
    documents = search.documents["events"].values()
    assert sorted((one["event_id"], one["n"]) for one in documents) == table(kit, dataset)
    assert Counter(one["penstock_arrival"] for one in documents) == there


def test_loads_beside_each_other_load_each_event_once(kit: Kit, store: FakeObjectStore) -> None:
    dataset = events()
    kit.apply(dataset)
    ids = [f"{number}" for number in range(50)]
    arrivals = [
        put(store, dataset, f"{number}", lines(*((id_, number) for id_ in some)), number)
        for number, some in enumerate([ids, ids[::-1]] * 3)
    ]
    clients = [kit.another() for _ in range(1 if isinstance(kit, FakeKit) else 2)]  # The fake's load is one step.

    with ThreadPoolExecutor(len(clients)) as pool:
        found = pool.map(
            lambda place: load(clients[place], dataset, store, *arrivals[place :: len(clients)]), range(len(clients))
        )
        outcomes = [outcome for each in found for outcome in each.values()]

    assert [id_ for id_, _ in table(kit, dataset)] == sorted(ids)
    assert sum(outcome.rows for outcome in outcomes) == 50
    assert sum(outcome.repeats for outcome in outcomes) == 250
