"""The search index, over opensearch-py: what is asked of it, and how it is made (what is sent: `opensearch_bulk`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError, TransportError

from penstock.adapters.opensearch_bulk import Bulk
from penstock.adapters.opensearch_client import translated
from penstock.adapters.opensearch_mapping import (
    conflicts,
    mapping_of,
    missing_fields,
    template_name,
    template_of,
)
from penstock.model.datasets import LINEAGE, Dataset
from penstock.model.documents import Document
from penstock.model.errors import PermanentError
from penstock.model.outcomes import IndexOutcome

_AT_ONCE = 10_000
"""Documents that are looked for to be deleted: a page of a search, which can't be larger."""

_BUCKETS = 5_000
"""Arrivals counted by one request; a cluster allows 65,536 buckets in one answer."""

_ARRIVAL = LINEAGE[0]


class OpenSearchIndex:
    """`penstock.ports.SearchIndex`. `bulk` is how documents and deletions are sent."""

    def __init__(self, client: OpenSearch, bulk: Bulk | None = None) -> None:
        self._client = client
        self._bulk = bulk or Bulk(client)

    def write(self, index: str, documents: Iterable[Document]) -> IndexOutcome:
        return self._bulk.write(index, documents)

    def delete(self, index: str, ids: Sequence[str]) -> None:
        self._bulk.delete(index, [b'{"delete":{"_id":%b}}\n' % orjson.dumps(id_) for id_ in ids])

    def delete_arrival(self, index: str, arrival: str, before: datetime | None = None) -> None:
        wanted: list[dict[str, Any]] = [{"term": {_ARRIVAL: arrival}}]
        if before is not None:
            wanted.append({"range": {LINEAGE[1]: {"lt": before.isoformat()}}})
        # Not by query: that gives what it deletes a version of its own, and the same document, put again within
        # index.gc_deletes (a minute), would be taken for an older one.
        body = {"size": _AT_ONCE, "_source": False, "version": True, "query": {"bool": {"filter": wanted}}}
        found = _AT_ONCE
        while found == _AT_ONCE:
            with translated(f"looking for the documents of arrival {arrival} in index {index}"):
                try:
                    self._client.indices.refresh(index=index)  # A search sees nothing that was written since.
                    hits = self._client.search(index=index, body=body)["hits"]["hits"]
                except NotFoundError:
                    return
            found = len(hits)
            line = b'{"delete":{"_id":%b,"version":%d,"version_type":"external_gte"}}\n'
            self._bulk.delete(index, [line % (orjson.dumps(hit["_id"]), hit["_version"]) for hit in hits])

    def count(self, index: str, arrival: str | None = None) -> int:
        query: dict[str, Any] = {"match_all": {}} if arrival is None else {"term": {_ARRIVAL: arrival}}
        with translated(f"counting the documents of index {index}"):
            try:
                self._client.indices.refresh(index=index)
                return int(self._client.count(index=index, body={"query": query})["count"])
            except NotFoundError:
                return 0

    def documents_by_arrival(self, index: str, after: str = "") -> Iterator[tuple[str, int]]:
        by_arrival: dict[str, Any] = {"size": _BUCKETS, "sources": [{"arrival": {"terms": {"field": _ARRIVAL}}}]}
        if after:
            by_arrival["after"] = {"arrival": after}
        body = {"size": 0, "track_total_hits": False, "aggs": {"arrivals": {"composite": by_arrival}}}
        with translated(f"refreshing index {index}"):
            try:
                self._client.indices.refresh(index=index)
            except NotFoundError:
                return
        while True:
            with translated(f"counting the documents of index {index} by arrival"):
                page = self._client.search(index=index, body=body)["aggregations"]["arrivals"]
            yield from ((bucket["key"]["arrival"], bucket["doc_count"]) for bucket in page["buckets"])
            if "after_key" not in page:
                return
            by_arrival["after"] = page["after_key"]

    def search(self, index: str, text: str, limit: int) -> Sequence[Mapping[str, Any]]:
        query: dict[str, Any] = {"match_all": {}}
        if text.strip():
            query = {"simple_query_string": {"query": text, "default_operator": "and", "lenient": True}}
        with translated(f"searching index {index}"):
            try:
                answer = self._client.search(index=index, body={"query": query, "size": limit})
            except NotFoundError:
                return []
        return [{key: hit[key] for key in ("_id", "_score", "_source")} for hit in answer["hits"]["hits"]]

    def apply(self, dataset: Dataset) -> bool:
        if dataset.index is None:
            return False
        name = dataset.index.name
        with translated(f"applying dataset {dataset.name} to index {name}"):
            changed = self._apply_template(dataset)
            if not self._client.indices.exists(index=name):
                self._create(name)
                return True
            wanted = mapping_of(dataset)["properties"]
            there = self._client.indices.get_mapping(index=name)
            for concrete, found in there.items():
                properties = found["mappings"].get("properties", {})
                if wrong := conflicts(wanted, properties):
                    raise PermanentError(
                        f"index {concrete} does not fit dataset {dataset.name}: {'; '.join(wrong)}. A field's type "
                        "can't be changed in place: name another index in the dataset and replay it, or delete this one"
                    )
                if more := missing_fields(wanted, properties):
                    self._client.indices.put_mapping(index=concrete, body={"dynamic": False, "properties": more})
                    changed = True
        return changed

    def _apply_template(self, dataset: Dataset) -> bool:
        assert dataset.index is not None  # noqa: S101 - `apply` has looked
        name = template_name(dataset)
        wanted = template_of(dataset, dataset.index)
        try:
            there = self._client.indices.get_index_template(name=name)["index_templates"][0]["index_template"]
        except NotFoundError:
            there = {}
        if there.get("_meta") == wanted["_meta"] and there.get("index_patterns") == wanted["index_patterns"]:
            return False
        self._client.indices.put_index_template(name=name, body=wanted)
        return True

    def _create(self, name: str) -> None:
        try:
            self._client.indices.create(index=name)
        except TransportError as error:
            if error.error != "resource_already_exists_exception":
                raise
