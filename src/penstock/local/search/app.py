"""The REST calls, in OpenSearch's shapes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.local.search.aggregations import answer_of, composite_of
from penstock.local.search.errors import SearchError
from penstock.local.search.filters import filtered
from penstock.local.search.store import Operation, Store

VERSION = "2.19.0"
_SHARDS = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
_ACTIONS = frozenset(("index", "create", "delete"))
_MOST_HITS = 10_000
_LONGEST_ID = 512

Body = Mapping[str, Any]
Call = Callable[[Store, Request, bytes], tuple[int, Any]]
"""Works on the store in its thread: the request with its body → the answer's status and JSON."""


def search_app(store: Store) -> Starlette:
    """The engine as an ASGI app. All calls run one after the other in one thread, as SQLite likes it."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="search")

    def route(path: str, method: str, call: Call) -> Route:
        return Route(path, _endpoint(thread, store, call), methods=[method])

    return Starlette(
        routes=[
            route("/", "GET", _root),
            route("/_cluster/health", "GET", _health),
            route("/_cat/indices", "GET", _cat),
            route("/_bulk", "POST", _bulk),
            route("/_refresh", "POST", _refresh),
            route("/_index_template/{name}", "PUT", _put_template),
            route("/_index_template/{name}", "GET", _get_template),
            route("/_index_template/{name}", "DELETE", _delete_template),
            route("/{index}/_bulk", "POST", _bulk),
            route("/{index}/_refresh", "POST", _refresh),
            route("/{index}/_mapping", "GET", _get_mapping),
            route("/{index}/_mapping", "PUT", _put_mapping),
            route("/{index}/_count", "POST", _count),
            route("/{index}/_count", "GET", _count),
            route("/{index}/_search", "POST", _search),
            route("/{index}/_search", "GET", _search),
            route("/{index}/_delete_by_query", "POST", _delete_by_query),
            route("/{index}/_doc/{id:path}", "GET", _get_document),
            route("/{index}", "PUT", _create),
            route("/{index}", "GET", _get_index),
            route("/{index}", "DELETE", _drop),
        ]
    )


def _endpoint(thread: ThreadPoolExecutor, store: Store, call: Call) -> Callable[[Request], Awaitable[Response]]:
    def work(request: Request, body: bytes) -> Response:
        try:
            status, answer = call(store, request, body)
        except SearchError as error:
            status, answer = error.status, error.body()
        except orjson.JSONDecodeError:
            refused = SearchError(400, "parse_exception", "request body is not valid JSON")
            status, answer = refused.status, refused.body()
        if isinstance(answer, dict) and (paths := request.query_params.get("filter_path")) and status < 300:
            answer = filtered(answer, paths)
        return Response(orjson.dumps(answer), status, media_type="application/json")

    async def endpoint(request: Request) -> Response:
        body = await request.body()
        return await asyncio.get_running_loop().run_in_executor(thread, work, request, body)

    return endpoint


def _json(body: bytes) -> Any:
    return orjson.loads(body) if body.strip() else {}


def _index_name(request: Request) -> str:
    return str(request.path_params["index"])


def _root(_store: Store, _request: Request, _body: bytes) -> tuple[int, Any]:
    version = {"distribution": "opensearch", "number": VERSION, "build_type": "penstock-embedded"}
    return 200, {"name": "penstock", "cluster_name": "penstock", "version": version, "tagline": "SQLite FTS5"}


def _health(_store: Store, _request: Request, _body: bytes) -> tuple[int, Any]:
    return 200, {"cluster_name": "penstock", "status": "green", "timed_out": False, "number_of_nodes": 1}


def _cat(store: Store, _request: Request, _body: bytes) -> tuple[int, Any]:
    return 200, [
        {
            "health": "green",
            "status": "open",
            "index": index.name,
            "uuid": index.uuid,
            "pri": "1",
            "rep": "0",
            "docs.count": str(store.count(index, None)),
            "docs.deleted": "0",
        }
        for index in store.indices.matching("*")
    ]


def _put_template(store: Store, request: Request, body: bytes) -> tuple[int, Any]:
    store.indices.put_template(request.path_params["name"], _json(body))
    return 200, {"acknowledged": True}


def _get_template(store: Store, request: Request, _body: bytes) -> tuple[int, Any]:
    name = request.path_params["name"]
    found = store.indices.templates(name)
    if not found and "*" not in name:
        raise SearchError(404, "resource_not_found_exception", f"index template matching [{name}] not found")
    return 200, {"index_templates": [{"name": key, "index_template": value} for key, value in found.items()]}


def _delete_template(store: Store, request: Request, _body: bytes) -> tuple[int, Any]:
    store.indices.delete_template(request.path_params["name"])
    return 200, {"acknowledged": True}


def _create(store: Store, request: Request, body: bytes) -> tuple[int, Any]:
    name = _index_name(request)
    store.indices.create(name, _json(body))
    return 200, {"acknowledged": True, "shards_acknowledged": True, "index": name}


def _get_index(store: Store, request: Request, _body: bytes) -> tuple[int, Any]:
    found = store.indices.matching(_index_name(request))
    return 200, {
        index.name: {
            "aliases": {},
            "mappings": index.mapping,
            "settings": {"index": {"number_of_shards": "1", "number_of_replicas": "0", "uuid": index.uuid}},
        }
        for index in found
    }


def _drop(store: Store, request: Request, _body: bytes) -> tuple[int, Any]:
    for index in store.indices.matching(_index_name(request)):
        store.indices.drop(index)
    return 200, {"acknowledged": True}


def _get_mapping(store: Store, request: Request, _body: bytes) -> tuple[int, Any]:
    return 200, {index.name: {"mappings": index.mapping} for index in store.indices.matching(_index_name(request))}


def _put_mapping(store: Store, request: Request, body: bytes) -> tuple[int, Any]:
    for index in store.indices.matching(_index_name(request)):
        store.indices.put_mapping(index, _json(body))
    return 200, {"acknowledged": True}


def _refresh(store: Store, request: Request, _body: bytes) -> tuple[int, Any]:
    store.indices.matching(request.path_params.get("index", "_all"))
    return 200, {"_shards": _SHARDS}


def _count(store: Store, request: Request, body: bytes) -> tuple[int, Any]:
    index = store.indices.index(_index_name(request))
    return 200, {"count": store.count(index, _json(body).get("query")), "_shards": _SHARDS}


def _search(store: Store, request: Request, body: bytes) -> tuple[int, Any]:
    began = time.monotonic()
    index = store.indices.index(_index_name(request))
    asked = _json(body)
    query = asked.get("query")
    size, start = (int(request.query_params.get(name, asked.get(name, by_default))) for name, by_default in _PAGE)
    if size + start > _MOST_HITS:
        raise SearchError(400, "illegal_argument_exception", "Result window is too large, from + size must be <= 10000")
    hits = [_shown(hit, asked) for hit in store.search(index, query, size, start)]
    total = min(store.count(index, query), _MOST_HITS)
    wanted = composite_of(asked, index.fields)
    counted = {"aggregations": answer_of(wanted, store.buckets(index, query, wanted))} if wanted else {}
    return 200, {
        "took": int((time.monotonic() - began) * 1000),
        "timed_out": False,
        "_shards": _SHARDS,
        "hits": {
            "total": {"value": total, "relation": "eq" if total < _MOST_HITS else "gte"},
            "max_score": hits[0]["_score"] if hits else None,
            "hits": hits,
        },
        **counted,
    }


_PAGE = (("size", 10), ("from", 0))


def _shown(hit: dict[str, Any], asked: Body) -> dict[str, Any]:
    """With its version where that is asked for, and its source unless that isn't wanted."""
    if not asked.get("version"):
        del hit["_version"]
    if asked.get("_source") is False:
        del hit["_source"]
    else:
        hit["_source"] = orjson.loads(hit["_source"])
    return hit


def _delete_by_query(store: Store, request: Request, body: bytes) -> tuple[int, Any]:
    most = int(request.query_params.get("max_docs", -1))
    deleted = store.delete_by_query(store.indices.index(_index_name(request)), _json(body).get("query"), most)
    return 200, {
        "took": 1,
        "timed_out": False,
        "total": deleted,
        "deleted": deleted,
        "batches": 1,
        "version_conflicts": 0,
        "noops": 0,
        "failures": [],
    }


def _get_document(store: Store, request: Request, _body: bytes) -> tuple[int, Any]:
    index, id_ = store.indices.index(_index_name(request)), request.path_params["id"]
    found = store.document(index, id_)
    answer = {"_index": index.name, "_id": id_, "found": found is not None}
    return (404, answer) if found is None else (200, {**answer, **found})


def _bulk(store: Store, request: Request, body: bytes) -> tuple[int, Any]:
    began = time.monotonic()
    operations = _operations(body, request.path_params.get("index", ""))
    items = store.bulk(operations)
    return 200, {
        "took": int((time.monotonic() - began) * 1000),
        "errors": any("error" in answer for item in items for answer in item.values()),
        "items": items,
    }


def _operations(body: bytes, index: str) -> Sequence[Operation]:
    """The lines of a bulk body, in pairs. What breaks the whole request on OpenSearch breaks it here."""
    if not body.endswith(b"\n"):
        raise SearchError(400, "illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]")
    lines = iter(body.split(b"\n"))
    found = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            ((action, about),) = orjson.loads(line).items()
        except (ValueError, AttributeError):
            raise _malformed(number) from None
        if action not in _ACTIONS or not isinstance(about, dict):
            raise _malformed(number)
        id_ = about.get("_id") or _made_up_id()
        if len(id_) * 4 > _LONGEST_ID and len(id_.encode()) > _LONGEST_ID:
            raise SearchError(
                400,
                "action_request_validation_exception",
                f"Validation Failed: 1: id is too long, must be no longer than {_LONGEST_ID} bytes but was: "
                f"{len(id_.encode())};",
            )
        if about.get("version_type", "external_gte") != "external_gte" or ("version" in about) != (
            "version_type" in about
        ):
            raise SearchError(400, "illegal_argument_exception", "the embedded index knows no version but external_gte")
        source = None if action == "delete" else next(lines, b"")
        found.append(Operation(action, about.get("_index", index), id_, source, about.get("version")))
    return found


def _made_up_id() -> str:
    import uuid

    return uuid.uuid4().hex[:20]


def _malformed(line: int) -> SearchError:
    return SearchError(400, "illegal_argument_exception", f"Malformed action/metadata line [{line}]")
