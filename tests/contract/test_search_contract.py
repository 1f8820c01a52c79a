"""What the adapter asks of a search index: on the embedded one, and on real nodes once `make opensearch` fetched them.

Indices are named afresh for each test and deleted after it, since PENSTOCK_OPENSEARCH_URL may name a node of yours.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opensearchpy import OpenSearch
from tests.contract.searching import COLUMNS, SERVERS, call, dataset, doc, search_url

from penstock.adapters.opensearch import OpenSearchIndex
from penstock.adapters.opensearch_bulk import Bulk
from penstock.adapters.opensearch_client import make_client
from penstock.model.errors import PermanentError
from penstock.ports import SearchIndex


@pytest.fixture(scope="module", params=SERVERS)
def url(request: pytest.FixtureRequest, search_nodes: Callable[[str], str]) -> Iterator[str]:
    with search_url(request.param, search_nodes) as found:
        yield found


@pytest.fixture
def client(url: str) -> Iterator[OpenSearch]:
    with make_client(url, "none") as made:
        yield made


@pytest.fixture
def search(client: OpenSearch) -> SearchIndex:
    return OpenSearchIndex(client)


@pytest.fixture
def name(client: OpenSearch) -> Iterator[str]:
    """A name that is an index's and a dataset's, and free."""
    free = f"contract_{uuid.uuid4().hex[:12]}"
    yield free
    client.indices.delete(index=free, params={"ignore_unavailable": "true"}, ignore=[404])
    client.indices.delete_index_template(name=f"penstock-{free}", ignore=[404])


@pytest.fixture
def index(search: SearchIndex, name: str) -> str:
    search.apply(dataset(name))
    return name


# ── the adapter ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_column_is_added_to_the_index_that_is_there(search: SearchIndex, url: str, index: str) -> None:
    more = [*COLUMNS, {"name": "added", "type": "integer"}]

    assert search.apply(dataset(index, more)) is True

    assert search.apply(dataset(index, more)) is False
    _, mapping = call(url, "GET", f"/{index}/_mapping")
    assert mapping[index]["mappings"]["properties"]["added"] == {"type": "integer"}
    assert search.write(index, [doc("1", added="no number")]).rejected == 1


def test_a_column_of_another_type_is_refused_with_its_name_and_what_to_do(search: SearchIndex, index: str) -> None:
    changed = [{"name": "small", "type": "text"}, *(column for column in COLUMNS if column["name"] != "small")]

    with pytest.raises(PermanentError) as refused:
        search.apply(dataset(index, changed))

    assert "small is short in the index and text in the dataset" in str(refused.value)
    assert "replay" in str(refused.value)


def test_documents_are_counted_by_any_field_that_is_no_text(search: SearchIndex, url: str, index: str) -> None:
    search.write(index, [doc(f"{number}", small=number % 2, title="x") for number in range(5)])
    call(url, "POST", f"/{index}/_refresh")

    def counted(field: str) -> tuple[int, Any]:
        sources = [{"it": {"terms": {"field": field}}}]
        return call(url, "POST", f"/{index}/_search", {"size": 0, "aggs": {"by": {"composite": {"sources": sources}}}})

    status, answer = counted("small")
    assert status == 200
    assert answer["aggregations"]["by"] == {
        "after_key": {"it": 1},
        "buckets": [{"key": {"it": 0}, "doc_count": 3}, {"key": {"it": 1}, "doc_count": 2}],
    }
    assert counted("title")[0] == 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("small", "abc"),
        ("small", 70_000),
        ("small", {"a": 1}),
        ("small", "1_0"),
        ("price", "NaN"),
        ("price", True),
        ("open", "maybe"),
        ("open", 1),
        ("day", "2013-02-30"),
        ("day", "31.1.2013"),
        ("day", "2013-13-01"),
        ("day", ""),
        ("at", "yesterday"),
        ("at", "2013-02-28T24:00:00Z"),
        ("at", "2013-01-31 10:00:00"),
        ("title", {"an": "object"}),
        ("key", {"an": "object"}),
    ],
)
def test_a_poison_document_is_a_reject_with_its_field_and_the_others_go_in(
    search: SearchIndex, index: str, field: str, value: Any
) -> None:
    outcome = search.write(index, [doc("1"), doc("2", line=5, **{field: value}), doc("3")])

    assert (outcome.documents, outcome.rejected) == (2, 1)
    (reject,) = outcome.rejects
    assert (reject.line, reject.column, reject.raw) == (5, field, "raw of 2")
    assert re.search(" for a field of type [a-z]+; write ", reject.reason)
    assert search.count(index) == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("small", "12"),
        ("small", 1.5),
        ("small", "1e2"),
        ("small", ""),
        ("price", "1e3"),
        ("price", 3),
        ("open", "true"),
        ("open", ""),
        ("day", "2013-02-28"),
        ("at", "2013-02-28"),
        ("at", "2013-01-31T10:00:00+00:00"),
        ("at", "2013-01-31T10:00:00.123456+02:00"),
        ("at", "2013-01-31T10:00:00"),
        ("title", 12),
        ("title", ["several", "texts"]),
        ("key", 12),
        ("more", {"deep": {"small": "abc"}}),
        ("more", [1, "mixed", None]),
        ("more", "a text"),
        ("not_in_the_dataset", {"any": "thing"}),
        ("small", None),
    ],
)
def test_what_the_index_can_read_as_the_fields_type_is_taken(
    search: SearchIndex, index: str, field: str, value: Any
) -> None:
    assert search.write(index, [doc("1", **{field: value})]).documents == 1


def test_requests_are_bounded_by_bytes_and_every_document_arrives(client: OpenSearch, index: str) -> None:
    search = OpenSearchIndex(client, Bulk(client, max_bytes=1000))

    outcome = search.write(index, [doc(str(number), body="x" * (number * 7)) for number in range(300)])

    assert outcome.documents == 300
    assert search.count(index) == 300


def test_the_best_document_comes_first(search: SearchIndex, index: str) -> None:
    search.write(
        index,
        [
            doc("far", title="harbour", body="a penstock is mentioned once in a long text about other things entirely"),
            doc("near", title="penstock", body="penstock"),
            doc("none", title="turbine"),
        ],
    )
    search.count(index)

    found = search.search(index, "penstock", 10)

    assert [hit["_id"] for hit in found] == ["near", "far"]
    assert found[0]["_score"] > found[1]["_score"] > 0
    assert found[0]["_source"]["title"] == "penstock"
    assert len(search.search(index, "penstock", 1)) == 1


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("water", {"1", "2"}),
        ("WATER gate", {"1"}),
        ('"gate water"', set()),
        ('"water gate"', {"1"}),
        ("wat*", {"1", "2"}),
        ("water -gate", {"2"}),
        ("gate | wheel", {"1", "2"}),
        ("n14228", {"3"}),
        ("nothing", set()),
        ("", {"1", "2", "3"}),
        ('un"balanced water', set()),
        ("?! /\\", set()),
    ],
)
def test_texts_are_found_by_words(search: SearchIndex, index: str, text: str, ids: set[str]) -> None:
    search.write(index, [doc("1", title="Water gate"), doc("2", title="water wheel"), doc("3", title="N14228")])
    search.count(index)

    assert {hit["_id"] for hit in search.search(index, text, 10)} == ids


def test_an_index_that_was_deleted_comes_back_with_its_mapping(
    search: SearchIndex, client: OpenSearch, index: str
) -> None:
    client.indices.delete(index=index)

    outcome = search.write(index, [doc("1", small="abc"), doc("2", small="1")])

    assert (outcome.documents, outcome.rejected) == (1, 1)


# ── the REST calls below it ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_root_says_what_it_is(url: str) -> None:
    status, answer = call(url, "GET", "/")

    assert status == 200
    assert answer["version"].get("distribution") == "opensearch" or answer["version"]["number"] == "7.10.2"


def test_a_bulk_request_answers_200_with_a_status_per_item_in_its_order(url: str, index: str) -> None:
    body = (
        b'{"index":{"_id":"1"}}\n{"small":1}\n{"index":{"_id":"2"}}\n{"small":"x"}\n{"delete":{"_id":"none"}}\n'
        b'{"index":{"_id":"1"}}\n{"small":2}\n{"index":{"_id":"3"}}\n{broken\n'
    )

    status, answer = call(url, "POST", f"/{index}/_bulk", body)

    assert status == 200
    assert answer["errors"] is True
    kinds = [(kind, item["_id"], item["status"]) for one in answer["items"] for kind, item in one.items()]
    assert kinds == [
        ("index", "1", 201),
        ("index", "2", 400),
        ("delete", "none", 404),
        ("index", "1", 200),
        ("index", "3", 400),
    ]
    assert answer["items"][0]["index"]["result"] == "created"
    assert answer["items"][3]["index"]["result"] == "updated"
    assert answer["items"][1]["index"]["error"]["type"] == "mapper_parsing_exception"
    assert "failed to parse field [small] of type [short]" in answer["items"][1]["index"]["error"]["reason"]


def test_filter_path_keeps_an_entry_per_item(url: str, index: str) -> None:
    body = b'{"index":{"_id":"1"}}\n{"small":1}\n{"index":{"_id":"2"}}\n{"small":"x"}\n'

    _, answer = call(url, "POST", f"/{index}/_bulk?filter_path=items.*.status,items.*.error", body)

    assert answer.keys() == {"items"}
    assert answer["items"][0] == {"index": {"status": 201}}
    assert answer["items"][1]["index"].keys() == {"status", "error"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"index":{"_id":"1"}}\n{"small":1}',
        b'{"upsert":{"_id":"1"}}\n{"small":1}\n',
        b'{"index":{"_id":"' + b"x" * 513 + b'"}}\n{"small":1}\n',
    ],
    ids=["no line end", "an unknown action", "an id of 513 bytes"],
)
def test_a_malformed_bulk_request_is_refused_whole(url: str, index: str, body: bytes) -> None:
    status, answer = call(url, "POST", f"/{index}/_bulk", body)

    assert status == 400
    assert answer["error"]["type"] in ("illegal_argument_exception", "action_request_validation_exception")


def test_an_id_of_512_bytes_is_taken(url: str, index: str) -> None:
    body = b'{"index":{"_id":"' + b"x" * 512 + b'"}}\n{"small":1}\n'

    _, answer = call(url, "POST", f"/{index}/_bulk", body)

    assert answer["items"][0]["index"]["status"] == 201


def test_a_document_is_had_by_its_id(url: str, index: str) -> None:
    call(url, "POST", f"/{index}/_bulk", b'{"index":{"_id":"a b/c"}}\n{"small":1}\n')

    status, found = call(url, "GET", f"/{index}/_doc/a%20b%2Fc")
    missing, answer = call(url, "GET", f"/{index}/_doc/none")

    assert (status, found["found"], found["_source"]) == (200, True, {"small": 1})
    assert (missing, answer["found"]) == (404, False)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"match_all": {}}, {"1", "2", "3"}),
        ({"match": {"title": "water wheel"}}, {"1", "2"}),
        ({"match": {"title": {"query": "water wheel", "operator": "and"}}}, {"2"}),
        ({"match": {"body": "water"}}, {"3"}),
        ({"multi_match": {"query": "water", "fields": ["title^2", "body"]}}, {"1", "2", "3"}),
        ({"term": {"title.keyword": "Water gate"}}, {"1"}),
        ({"term": {"title.keyword": {"value": "water"}}}, set()),
        ({"term": {"small": 2}}, {"2"}),
        ({"ids": {"values": ["1", "9"]}}, {"1"}),
        ({"bool": {"must": [{"match": {"title": "water"}}], "filter": [{"term": {"small": 1}}]}}, {"1"}),
    ],
)
def test_queries_find_what_they_should(url: str, index: str, query: Any, ids: set[str]) -> None:
    call(
        url,
        "POST",
        f"/{index}/_bulk?refresh=true",
        b'{"index":{"_id":"1"}}\n{"small":1,"title":"Water gate"}\n'
        b'{"index":{"_id":"2"}}\n{"small":2,"title":"water wheel"}\n'
        b'{"index":{"_id":"3"}}\n{"small":3,"body":"water"}\n',
    )

    _, found = call(url, "POST", f"/{index}/_search", {"query": query, "size": 10})
    _, counted = call(url, "POST", f"/{index}/_count", {"query": query})
    _, page = call(url, "POST", f"/{index}/_search", {"query": query, "size": 1, "from": 1})

    assert {hit["_id"] for hit in found["hits"]["hits"]} == ids
    assert found["hits"]["total"] == {"value": len(ids), "relation": "eq"}
    assert counted["count"] == len(ids)
    assert len(page["hits"]["hits"]) == min(1, max(0, len(ids) - 1))


def test_a_query_of_an_unknown_kind_is_refused(url: str, index: str) -> None:
    status, answer = call(url, "POST", f"/{index}/_search", {"query": {"no_such": {}}})

    assert (status, answer["error"]["type"]) == (400, "parsing_exception")


def test_the_indices_are_listed(url: str, index: str) -> None:
    _, answer = call(url, "GET", "/_cat/indices?format=json")

    assert [row["docs.count"] for row in answer if row["index"] == index] == ["0"]


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/no_such_index/_search", "index_not_found_exception"),
        ("GET", "/no_such_index/_mapping", "index_not_found_exception"),
        ("DELETE", "/no_such_index", "index_not_found_exception"),
        ("GET", "/_index_template/no_such", "resource_not_found_exception"),
    ],
)
def test_what_is_not_there_is_404_with_its_kind(url: str, method: str, path: str, kind: str) -> None:
    status, answer = call(url, method, path)

    assert (status, answer["error"]["type"]) == (404, kind)


def test_an_index_is_created_once(url: str, index: str) -> None:
    status, answer = call(url, "PUT", f"/{index}")

    assert (status, answer["error"]["type"]) == (400, "resource_already_exists_exception")
