"""A dataset and documents for the contracts of the search index, and where one answers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import urllib3
from tests.fakes.search_server import embedded_search

from penstock.model.datasets import Dataset
from penstock.model.documents import Document

COLUMNS = [
    {"name": "title", "type": "text"},
    {"name": "body", "type": "text"},
    {"name": "small", "type": "smallint"},
    {"name": "price", "type": "double"},
    {"name": "open", "type": "boolean"},
    {"name": "day", "type": "date"},
    {"name": "at", "type": "timestamptz"},
    {"name": "key", "type": "uuid"},
    {"name": "more", "type": "json"},
]


@contextmanager
def search_url(kind: str) -> Iterator[str]:
    """Of a fresh `embedded` engine, or of the `opensearch` node that the environment names."""
    if kind == "embedded":
        with embedded_search() as (embedded, _):
            yield embedded
        return
    if not (real := os.environ.get("PENSTOCK_OPENSEARCH_URL")):
        pytest.skip("PENSTOCK_OPENSEARCH_URL names no OpenSearch node")
    yield real


def dataset(name: str, columns: Any = COLUMNS, version: int = 1) -> Dataset:
    return Dataset.model_validate(
        {"name": name, "version": version, "prefix": "x/", "format": "csv", "columns": columns, "index": name}
    )


LOADED_AT = "2026-01-02T03:04:05.678901+00:00"


def doc(
    id_: str, arrival: str = "a1", line: int = 1, version: int = 0, loaded_at: str = LOADED_AT, **fields: Any
) -> Document:
    source = {**fields, "penstock_arrival": arrival, "penstock_loaded_at": loaded_at}
    return Document(id_, json.dumps(source).encode(), line, f"raw of {id_}\n", version)


def call(url: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    answer = urllib3.request(method, url + path, body=raw, headers=headers, retries=False)
    return answer.status, json.loads(answer.data) if answer.data else None
