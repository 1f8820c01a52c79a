"""What Penstock's flows ask of a search index: held against the fake, the embedded one and real nodes.

Those run once `make opensearch` fetched them, or where PENSTOCK_OPENSEARCH_URL names one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.contract.searching import LOADED_AT, SERVERS, dataset, doc, search_url
from tests.fakes.search_index import FakeSearchIndex

from penstock.adapters.opensearch import OpenSearchIndex
from penstock.adapters.opensearch_client import make_client
from penstock.model.datasets import Dataset
from penstock.ports import SearchIndex


@pytest.fixture(scope="module", params=["fake", *SERVERS])
def search(request: pytest.FixtureRequest, search_nodes: Callable[[str], str]) -> Iterator[SearchIndex]:
    if request.param == "fake":
        yield FakeSearchIndex(refuses=_no_short)
        return
    with search_url(request.param, search_nodes) as url, make_client(url, "none") as client:
        yield OpenSearchIndex(client)
        client.indices.delete(index="contract_*", params={"expand_wildcards": "open"}, ignore=[404])
        client.indices.delete_index_template(name="penstock-contract_*", ignore=[404])


@pytest.fixture
def name() -> str:
    """A name that is an index's and a dataset's, and free."""
    return f"contract_{uuid.uuid4().hex[:12]}"


@pytest.fixture
def index(search: SearchIndex, name: str) -> str:
    search.apply(dataset(name))
    return name


def found(search: SearchIndex, index: str) -> dict[str, Any]:
    """Each document's title and arrival, by id."""
    search.count(index)
    hits = search.search(index, "", 100)
    return {hit["_id"]: (hit["_source"].get("title"), hit["_source"]["penstock_arrival"]) for hit in hits}


def _no_short(document: dict[str, Any]) -> str:
    return "" if isinstance(document.get("small", 0), int) else "failed to parse field [small] of type [short]"


def test_applying_a_dataset_makes_its_index_and_again_changes_nothing(search: SearchIndex, name: str) -> None:
    assert search.apply(dataset(name)) is True
    assert search.apply(dataset(name)) is False
    assert search.count(name) == 0


def test_what_is_written_is_counted_and_written_again_changes_nothing(search: SearchIndex, index: str) -> None:
    documents = [doc(f"{number}", "a1" if number < 7 else "a2", title="x") for number in range(10)]

    first = search.write(index, documents)
    second = search.write(index, documents)

    assert (first.documents, first.rejected, first.rejects) == (10, 0, ())
    assert second == first
    assert (search.count(index), search.count(index, "a1"), search.count(index, "a2")) == (10, 7, 3)


def test_documents_are_counted_by_arrival_however_many_pages_that_takes(
    search: SearchIndex, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.adapters.opensearch._BUCKETS", 2)
    search.write(index, [doc(f"{number}", f"a{number % 5}", title="x") for number in range(12)])

    counted = list(search.documents_by_arrival(index))

    assert counted == [("a0", 3), ("a1", 3), ("a2", 2), ("a3", 2), ("a4", 2)]
    assert list(search.documents_by_arrival(index, "a1")) == counted[2:]
    assert list(search.documents_by_arrival("contract_that_is_not_there")) == []


def test_deleting_an_arrivals_documents_leaves_the_others(search: SearchIndex, index: str) -> None:
    search.write(index, [doc("1", "a1"), doc("2", "a2"), doc("3", "a1")])

    search.delete_arrival(index, "a1")
    search.delete_arrival(index, "a1")

    assert (search.count(index, "a1"), search.count(index)) == (0, 1)


def test_an_arrival_of_any_number_of_documents_is_deleted(search: SearchIndex, index: str) -> None:
    search.write(index, [doc(f"{number}", "a1" if number else "a2") for number in range(20_001)])

    search.delete_arrival(index, "a1")

    assert (search.count(index, "a1"), search.count(index)) == (0, 1)


def test_deleting_documents_passes_over_those_that_are_not_there(search: SearchIndex, index: str) -> None:
    search.write(index, [doc("1"), doc("2")])

    search.delete(index, ["2", "3"])
    search.delete(index, [])

    assert search.count(index) == 1


def test_a_deleted_document_can_be_written_again(search: SearchIndex, index: str) -> None:
    search.write(index, [doc("1", title="old")])
    search.delete(index, ["1"])
    search.write(index, [doc("1", title="new")])

    assert search.count(index) == 1
    assert [hit["_source"]["title"] for hit in search.search(index, "new", 5)] == ["new"]
    assert search.search(index, "old", 5) == []


def test_an_index_that_is_not_there_is_empty(search: SearchIndex, name: str) -> None:
    search.delete_arrival(name, "a1")

    assert search.count(name) == 0
    assert search.search(name, "x", 1) == []


def test_a_document_that_the_index_can_not_read_is_a_reject_and_the_others_go_in(
    search: SearchIndex, index: str
) -> None:
    outcome = search.write(index, [doc("1"), doc("2", line=5, small="abc"), doc("3")])

    assert (outcome.documents, outcome.rejected, search.count(index)) == (2, 1, 2)
    assert [(one.line, one.raw) for one in outcome.rejects] == [(5, "raw of 2")]


# ── which of two documents of one id stands ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("order", [(5, 7), (7, 5)], ids=["in order", "the older one late"])
def test_the_document_of_the_greater_version_stands_and_both_are_counted(
    search: SearchIndex, index: str, order: tuple[int, int]
) -> None:
    counted = [
        search.write(index, [doc("1", f"a{version}", version=version, title=f"of {version}")]) for version in order
    ]

    assert [(one.documents, one.rejected) for one in counted] == [(1, 0), (1, 0)]
    assert found(search, index) == {"1": ("of 7", "a7")}


def test_of_equal_versions_the_later_one_stands(search: SearchIndex, index: str) -> None:
    search.write(index, [doc("1", version=5, title="first"), doc("1", version=5, title="second")])

    search.write(index, [doc("1", version=5, title="third")])

    assert found(search, index) == {"1": ("third", "a1")}


def test_a_document_that_gives_way_takes_no_other_of_its_request_with_it(search: SearchIndex, index: str) -> None:
    search.write(index, [doc("2", "a9", version=9, title="newer")])

    outcome = search.write(index, [doc(id_, "a5", version=5, title="older") for id_ in ("1", "2", "3")])

    assert (outcome.documents, outcome.rejected) == (3, 0)
    assert found(search, index) == {"1": ("older", "a5"), "2": ("newer", "a9"), "3": ("older", "a5")}


def test_a_version_takes_the_place_of_a_document_that_has_none(search: SearchIndex, index: str) -> None:
    search.write(index, [doc("1", title="before")])
    search.write(index, [doc("1", title="twice")])

    search.write(index, [doc("1", "a2", version=1_767_323_045_678, title="with one")])

    assert found(search, index) == {"1": ("with one", "a2")}


def test_what_was_deleted_is_written_again_with_the_version_that_it_had(search: SearchIndex, index: str) -> None:
    """At once: within `index.gc_deletes` an index still knows what was deleted."""
    documents = [doc(str(number), version=5, title="x") for number in range(3)]
    for _ in range(3):
        search.write(index, documents)
        search.delete_arrival(index, "a1")

    search.write(index, documents)

    assert search.count(index, "a1") == 3


def test_deleting_an_arrivals_documents_leaves_the_newer_ones_that_took_their_place(
    search: SearchIndex, index: str
) -> None:
    search.write(index, [doc("1", "a5", version=5), doc("2", "a5", version=5)])
    search.write(index, [doc("2", "a7", version=7, title="newer")])

    search.delete_arrival(index, "a5")

    assert found(search, index) == {"2": ("newer", "a7")}


def test_only_what_an_earlier_indexing_of_an_arrival_wrote_is_deleted(search: SearchIndex, index: str) -> None:
    now = datetime.fromisoformat(LOADED_AT).astimezone(UTC) + timedelta(days=1)
    later = now.isoformat()
    search.write(index, [doc("1"), doc("2"), doc("3", "a2")])
    search.write(index, [doc("2", loaded_at=later, title="again"), doc("4", loaded_at=later, title="again")])

    search.delete_arrival(index, "a1", before=now)

    assert found(search, index) == {"2": ("again", "a1"), "3": (None, "a2"), "4": ("again", "a1")}


def test_a_dataset_without_an_index_makes_none(search: SearchIndex, name: str) -> None:
    plain: Dataset = dataset(name).model_copy(update={"index": None})

    assert search.apply(plain) is False
