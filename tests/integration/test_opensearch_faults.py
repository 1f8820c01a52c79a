"""The adapter over real HTTP against an index that is overloaded, half answers or is gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tenacity import wait_none
from tests.conftest import free_port
from tests.fakes.search_server import Faults, embedded_search

from penstock.adapters.opensearch import OpenSearchIndex
from penstock.adapters.opensearch_bulk import Bulk
from penstock.adapters.opensearch_client import make_client
from penstock.model.datasets import Dataset
from penstock.model.documents import Document
from penstock.model.errors import BadFileError, DestinationDownError, TransientError, down_in

DATASET = Dataset.model_validate(
    {
        "name": "t",
        "prefix": "t/",
        "format": "csv",
        "columns": [{"name": "n", "type": "integer"}],
        "index": "t",
    }
)


@pytest.fixture
def engine() -> Iterator[tuple[str, Faults]]:
    with embedded_search() as found:
        yield found


@pytest.fixture
def faults(engine: tuple[str, Faults]) -> Faults:
    return engine[1]


@pytest.fixture
def search(engine: tuple[str, Faults]) -> Iterator[OpenSearchIndex]:
    with make_client(engine[0], "none") as client:
        made = OpenSearchIndex(client, Bulk(client, attempts=4, wait=wait_none()))
        made.apply(DATASET)
        yield made


def docs(count: int, poison: frozenset[int] = frozenset()) -> list[Document]:
    return [
        Document(
            str(n), b'{"n":"no","penstock_arrival":"a"}' if n in poison else b'{"n":1,"penstock_arrival":"a"}', n + 2
        )
        for n in range(count)
    ]


def test_only_the_items_that_were_put_off_are_sent_again(search: OpenSearchIndex, faults: Faults) -> None:
    faults.plan = [lambda id_: int(id_) % 3 == 0, lambda id_: id_ == "3"]

    outcome = search.write("t", docs(7, poison=frozenset((3, 5))))

    assert faults.requests == [["0", "1", "2", "3", "4", "5", "6"], ["0", "3", "6"], ["3"]]
    assert (outcome.documents, outcome.rejected) == (5, 2)
    assert sorted(reject.line for reject in outcome.rejects) == [5, 7]
    assert search.count("t") == 5


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_request_that_was_refused_for_now_is_sent_again_whole(
    search: OpenSearchIndex, faults: Faults, status: int
) -> None:
    faults.plan = [status, status]

    assert search.write("t", docs(3)).documents == 3
    assert len(faults.requests) == 3


def test_what_stays_put_off_is_a_transient_error(search: OpenSearchIndex, faults: Faults) -> None:
    faults.plan = [lambda id_: id_ == "1"] * 9

    with pytest.raises(TransientError, match="index t: it is overloaded, 1 were put off"):
        search.write("t", docs(3))

    assert [len(ids) for ids in faults.requests] == [3, 1, 1, 1]


@pytest.mark.parametrize(("status", "what"), [(403, "access policy"), (429, "has room"), (503, "green")])
def test_an_index_that_takes_nothing_from_anyone_is_down(
    search: OpenSearchIndex, faults: Faults, status: int, what: str
) -> None:
    faults.plan = [status] * 9

    with pytest.raises(DestinationDownError, match=what) as caught:
        search.write("t", docs(3))

    assert caught.value.destination == down_in(str(caught.value)) == "search"


def test_a_request_that_the_index_fails_on_may_be_the_files_fault(search: OpenSearchIndex, faults: Faults) -> None:
    faults.plan = [500] * 9

    with pytest.raises(TransientError) as caught:
        search.write("t", docs(3))

    assert not isinstance(caught.value, DestinationDownError)


def test_a_request_that_is_too_large_is_sent_in_halves_and_a_single_document_is_a_reject(
    search: OpenSearchIndex, faults: Faults
) -> None:
    faults.plan = [413, None, 413, 413, None]

    outcome = search.write("t", docs(4))

    assert [len(ids) for ids in faults.requests] == [4, 2, 2, 1, 1]
    assert (outcome.documents, outcome.rejected) == (3, 1)
    assert "larger than a request" in outcome.rejects[0].reason


def test_no_request_is_larger_than_the_limit(engine: tuple[str, Faults]) -> None:
    url, faults = engine

    with make_client(url, "none") as client:
        OpenSearchIndex(client, Bulk(client, max_bytes=1000)).write("t", docs(100))

    assert max(faults.sizes) <= 1000
    assert len(faults.sizes) < 10


def test_deletes_that_were_put_off_are_sent_again(search: OpenSearchIndex, faults: Faults) -> None:
    search.write("t", docs(3))
    faults.plan = [503, lambda id_: id_ == "1"]

    search.delete("t", ["0", "1", "2"])

    assert search.count("t") == 0


def test_an_outcome_counts_all_rejects_and_holds_the_first_thousand(search: OpenSearchIndex) -> None:
    outcome = search.write("t", docs(1200, poison=frozenset(range(1200))))

    assert (outcome.rejected, len(outcome.rejects)) == (1200, 1000)


def test_an_error_of_the_file_goes_through_as_it_is(search: OpenSearchIndex) -> None:
    def broken() -> Iterator[Document]:
        yield from docs(2)
        raise BadFileError("the gzip data ends early")

    with pytest.raises(BadFileError, match="ends early"):
        search.write("t", broken())


def test_an_index_that_is_not_there_to_answer_is_a_transient_error() -> None:
    with make_client(f"http://127.0.0.1:{free_port()}", "none") as client:
        search = OpenSearchIndex(client, Bulk(client, attempts=2, wait=wait_none()))

        for ask in (
            lambda: search.write("t", docs(1)),
            lambda: search.count("t"),
            lambda: search.apply(DATASET),
            lambda: search.delete_arrival("t", "a"),
            lambda: search.search("t", "x", 1),
        ):
            with pytest.raises(DestinationDownError, match="did not answer"):
                ask()
