"""The whole of it: a file is put, and its rows and documents are there, once."""

from __future__ import annotations

import json

import urllib3
from tests.integration.operating import ask, at_rest, keys, put
from tests.integration.processes import eventually

from penstock.local.stack import LocalStack

AIRLINES = b'carrier,name\n"AA","American Airlines Inc."\n"UA","United Air Lines Inc."\n'


def test_a_file_that_is_put_becomes_rows_and_moves_to_processed(stack: LocalStack) -> None:
    name = "2013/us carriers+more%20.csv"

    put(stack, f"airlines/{name}", AIRLINES)

    assert eventually(lambda: len(keys(stack, "processed/airlines/2013/")) == 1)
    assert eventually(lambda: keys(stack, "incoming/airlines/2013/") == [])
    assert ask(stack, "SELECT carrier, name FROM public.airlines ORDER BY carrier") == [
        ("AA", "American Airlines Inc."),
        ("UA", "United Air Lines Inc."),
    ]
    assert ask(stack, "SELECT verdict FROM penstock.load WHERE dataset = 'airlines'") == [("loaded",)]
    assert json.loads(urllib3.request("GET", f"{stack.search_url}/airlines/_count").data)["count"] == 2
    assert eventually(lambda: at_rest(stack))


def test_a_file_that_no_dataset_claims_moves_to_failed_with_its_reason(stack: LocalStack) -> None:
    put(stack, "strangers/a.csv", b"a\n1\n")

    assert eventually(lambda: len(keys(stack, "failed/_unclaimed/strangers/")) == 2)
    assert eventually(lambda: at_rest(stack))
    assert sorted(key.rpartition(".")[2] for key in keys(stack, "failed/_unclaimed/strangers/")) == ["csv", "json"]
