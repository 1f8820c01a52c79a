"""A dataset and documents for the contracts of the search index, and where one answers."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3
from tests.fakes.search_server import embedded_search

from penstock.local.search_node import KINDS, missing, node
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


SERVERS = ["embedded", *(pytest.param(kind, marks=pytest.mark.xdist_group(kind), id=kind) for kind in KINDS)]
"""A real node is a group: it starts once, however many workers there are."""


@contextmanager
def search_url(kind: str, nodes: Callable[[str], str]) -> Iterator[str]:
    """Of a fresh `embedded` engine; or of a real node, the one that the environment names or one of the session's."""
    if kind == "embedded":
        with embedded_search() as (embedded, _):
            yield embedded
    else:
        yield os.environ.get(f"PENSTOCK_{kind.upper()}_URL") or nodes(kind)


@contextmanager
def running_node(kind: str) -> Iterator[str]:
    """Skips, and says why, where the node was not fetched."""
    if why := missing(kind):
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix=f"penstock-{kind}-", ignore_cleanup_errors=True) as folder:
        engine = node(kind, Path(folder))
        process = engine.start(Path(folder))
        try:
            until = time.monotonic() + 120
            while not engine.ready():
                if process.poll() is not None and engine.again:
                    engine = engine.again()
                    process = engine.start(Path(folder))
                elif process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{kind} did not start: {Path(folder, 'search.log').read_text()[-2000:]}")
                time.sleep(0.05)  # A port gives no sign when it opens.
            yield f"http://127.0.0.1:{engine.port}"
        finally:
            process.kill()
            process.wait()


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
