"""A table with `upsert`, in every warehouse: of each key the newest row, whatever order files are loaded in."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import Postgres
from tests.contract.redshift import BUCKET, RedshiftKit
from tests.contract.warehouses import NOON, FakeKit, Kit, dataset_of, load, put
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.search_index import FakeSearchIndex

from penstock.flows.index_batch import Indexing
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.documents import Document
from penstock.model.outcomes import IndexOutcome, LoadOutcome, Verdict

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "integer", "required": True},
    {"name": "at", "type": "numeric", "required": True},
    {"name": "name", "type": "text"},
]


def upserting(**changes: Any) -> Dataset:
    index = {"name": "merged", "id_columns": ["id"]}
    return dataset_of(COLUMNS, **{"upsert": {"key": ["id"], "order_by": "at"}, "index": index, **changes})


def csv(*rows: tuple[int, float, str]) -> bytes:
    return ("id,at,name\n" + "".join(f"{id_},{at},{name}\n" for id_, at, name in rows)).encode()


def table(kit: Kit, dataset: Dataset) -> list[tuple[int, float, str]]:
    return sorted((int(id_), float(at), name) for id_, at, name in kit.rows(dataset))


def test_a_newer_row_takes_the_place_of_an_older_one_and_an_older_does_not(kit: Kit, store: FakeObjectStore) -> None:
    dataset = upserting()
    kit.apply(dataset)
    first = put(store, dataset, "1", csv((1, 9, "a"), (2, 5, "a")))
    second = put(store, dataset, "2", csv((1, 10, "b"), (2, 4, "b"), (3, 1, "b")), 1)

    load(kit.warehouse, dataset, store, first)
    outcomes = load(kit.warehouse, dataset, store, second)

    assert table(kit, dataset) == [(1, 10, "b"), (2, 5, "a"), (3, 1, "b")]
    assert sorted(kit.arrivals_of(dataset)) == sorted([second.id, first.id, second.id])
    assert outcomes[second.id] == LoadOutcome(Verdict.LOADED, rows=3)


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
def test_of_equals_the_row_that_was_put_later_stays_whichever_is_loaded_first(
    kit: Kit, store: FakeObjectStore, together: bool
) -> None:
    for turn in (1, -1):
        dataset = upserting()
        kit.apply(dataset)
        early, late = (put(store, dataset, name, csv((1, 5, name)), at) for at, name in enumerate(("early", "late")))

        batches = [(early, late)[::turn]] if together else [[one] for one in (early, late)[::turn]]
        for batch in batches:
            load(kit.warehouse, dataset, store, *batch)

        assert table(kit, dataset) == [(1, 5, "late")]


def test_in_one_file_the_greatest_row_of_a_key_stays_and_of_equals_the_last(kit: Kit, store: FakeObjectStore) -> None:
    dataset = upserting()
    kit.apply(dataset)
    rows = [(1, 2.0, "first"), *((1, 9.0, f"{number}") for number in range(12)), (1, 3.0, "last")]
    arrival = put(store, dataset, "1", csv(*rows))

    outcome = load(kit.warehouse, dataset, store, arrival)[arrival.id]

    assert table(kit, dataset) == [(1, 9, "11")]
    assert outcome == LoadOutcome(Verdict.LOADED, rows=14)


def test_a_file_with_bad_rows_is_merged_without_them_and_a_bad_file_merges_nothing(
    kit: Kit, store: FakeObjectStore
) -> None:
    dataset = upserting(max_reject_ratio=0.5)
    kit.apply(dataset)
    good = put(store, dataset, "1", csv((1, 1, "good")))
    some = put(store, dataset, "2", b"id,at,name\n1,2,some\nx,9,some\n3,3,some\n")
    bad = put(store, dataset, "3", b"id,at,name\n1,3,bad\n,9,bad\ny,3,bad\n")

    outcomes = load(kit.warehouse, dataset, store, good, some, bad)

    assert table(kit, dataset) == [(1, 2, "some"), (3, 3, "some")]
    assert [outcomes[one.id].verdict for one in (good, some, bad)] == ["loaded", "loaded", "quarantined"]
    assert (outcomes[good.id].rows, outcomes[some.id].rows, outcomes[some.id].rejects) == (1, 2, 1)


def test_a_key_of_several_columns_and_an_order_of_time(kit: Kit, store: FakeObjectStore) -> None:
    text, moment = ({"type": type_, "required": True} for type_ in ("text", "timestamp"))
    columns = [{"name": "one", **text}, {"name": "two", **text}, {"name": "at", **moment}]
    dataset = dataset_of(columns, upsert={"key": ["two", "one"], "order_by": "at"})
    kit.apply(dataset)
    early, late = "2026-01-02 03:04:05", "2026-01-02 03:04:06"
    body = f"one,two,at\na,b,{late}\nb,a,{early}\na,b,{early}\n"

    load(kit.warehouse, dataset, store, put(store, dataset, "1", body.encode()))
    load(kit.warehouse, dataset, store, put(store, dataset, "2", f"one,two,at\nb,a,{late}\n".encode()))

    assert sorted((one, two, str(at)) for one, two, at in kit.rows(dataset)) == [("a", "b", late), ("b", "a", late)]


def test_the_rows_of_an_arrival_are_those_that_stand_and_their_version_grows_with_each_that_takes_their_place(
    kit: Kit, store: FakeObjectStore
) -> None:
    dataset = upserting()
    kit.apply(dataset)
    first = put(store, dataset, "1", csv((1, 1, "a"), (2, 9, "a")))
    load(kit.warehouse, dataset, store, first)
    old, other = sorted(kit.warehouse.merged_rows(dataset, first), key=lambda row: str(row.values[0]))

    second, third = (put(store, dataset, f"{at}", csv((1, at, f"{at}"))) for at in (2, 3))
    load(kit.warehouse, dataset, store, second)
    (new,) = kit.warehouse.merged_rows(dataset, second)
    load(kit.warehouse, dataset, store, third)
    (newest,) = kit.warehouse.merged_rows(dataset, third)

    assert list(kit.warehouse.merged_rows(dataset, first)) == [other]
    assert not list(kit.warehouse.merged_rows(dataset, second))
    assert [row.values[0] for row in (old, new, newest)] == ["1"] * 3
    assert old.version < new.version < newest.version


def test_a_long_text_of_a_row_that_stands_is_read_whole(kit: Kit, store: FakeObjectStore) -> None:
    dataset, text = upserting(), "ä" * 1000
    kit.apply(dataset)
    arrival = put(store, dataset, "1", csv((1, 1, text)))
    load(kit.warehouse, dataset, store, arrival)

    (row,) = kit.warehouse.merged_rows(dataset, arrival)

    assert row.values[-1] == text


class _Late(FakeSearchIndex):
    """Holds what it is given back, as an indexing that was given up on does."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Document] = []

    def write(self, index: str, documents: Iterable[Document]) -> IndexOutcome:
        self.held.extend(documents)
        return IndexOutcome()


_ROWS = st.lists(st.tuples(st.integers(1, 3), st.integers(9, 11)), min_size=1, max_size=4)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(st.tuples(_ROWS, st.integers(0, 2)), min_size=2, max_size=4), data=st.data())
def test_any_order_and_any_batches_give_the_same_table_and_the_same_documents(
    kit: Kit, files: Sequence[tuple[list[tuple[int, int]], int]], data: st.DataObject
) -> None:
    store, search = FakeObjectStore(BUCKET), FakeSearchIndex()
    numbers = itertools.count()
    dataset = upserting()
    kit.apply(dataset)
    arrivals: list[Arrival] = []
    newest: dict[int, tuple[Any, ...]] = {}
    for name, (rows, minute) in enumerate(files):
        wanted = [(id_, at, f"row {next(numbers)}") for id_, at in rows]
        arrival = put(store, dataset, f"{name}", csv(*wanted), minute)
        arrivals.append(arrival)
        for place, row in enumerate(wanted):
            newest[row[0]] = max(newest.get(row[0], ()), (row[1], arrival.modified, arrival.id, place, row))
    order = data.draw(st.permutations(arrivals))
    cut = data.draw(st.integers(1, len(order) - 1))

    late = _Late()
    for batch in (order[:cut], order[cut:]):
        load(kit.warehouse, dataset, store, *batch)
        for arrival in data.draw(st.permutations(batch)):
            for index in (late, search):
                Indexing(dataset, "merged", store, index, NOON).index_merged(arrival, kit.warehouse)
    search.write("merged", data.draw(st.permutations(late.held)))

    assert table(kit, dataset) == sorted(row for *_, row in newest.values())
    assert sorted(kit.arrivals_of(dataset)) == sorted(arrival for _, _, arrival, _, _ in newest.values())
    documents = search.documents["merged"].values()
    assert sorted((one["id"], one["at"], one["name"]) for one in documents) == sorted(
        row for *_, row in newest.values()
    )
    assert sorted(one["penstock_arrival"] for one in documents) == sorted(kit.arrivals_of(dataset))


def test_loads_beside_each_other_give_the_same_table(kit: Kit, store: FakeObjectStore) -> None:
    dataset = upserting()
    kit.apply(dataset)
    arrivals = [
        put(store, dataset, f"{number}", csv(*((id_, number % 3, f"{number}") for id_ in ids)), number)
        for number, ids in enumerate([range(1, 50), range(49, 0, -1)] * 3)
    ]
    clients = [kit.another() for _ in range(1 if isinstance(kit, FakeKit) else 2)]  # The fake's load is one step.

    with ThreadPoolExecutor(len(clients)) as pool:
        list(
            pool.map(
                lambda place: load(clients[place], dataset, store, *arrivals[place :: len(clients)]),
                range(len(clients)),
            )
        )

    assert table(kit, dataset) == [(id_, 2, "5") for id_ in range(1, 50)]


def test_on_redshift_a_clock_that_was_set_back_takes_no_version_back(
    postgres: Postgres, store: FakeObjectStore
) -> None:
    kit, dataset = RedshiftKit(lambda: postgres.superuser), upserting()
    kit.apply(dataset)
    load(kit.warehouse, dataset, store, first := put(store, dataset, "1", csv((1, 1, "a"))))
    ahead = f"UPDATE public.{dataset.name} SET penstock_loaded_at = penstock_loaded_at + INTERVAL '1 hour'"
    assert kit._api("penstock_owner").run([ahead], "set a test's clock").status == "FINISHED"
    (before,) = kit.warehouse.merged_rows(dataset, first)

    load(kit.warehouse, dataset, store, second := put(store, dataset, "2", csv((1, 2, "b"))))

    (after,) = kit.warehouse.merged_rows(dataset, second)
    assert after.version == before.version + 1_000_000
    kit.close()
