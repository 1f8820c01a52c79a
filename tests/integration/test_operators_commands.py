"""The operator's commands on a whole stack, IAM enforced: what failed is mended and retried, and the table replayed."""

from __future__ import annotations

import urllib3
from tests.integration.operating import HALF_BAD, ask, at_rest, describe, keys, put, run
from tests.integration.processes import eventually

from penstock.local.stack import LocalStack


def test_what_failed_is_mended_and_retried_once_and_the_table_is_replayed_and_swapped(stack: LocalStack) -> None:
    for day in range(3):
        put(stack, f"mended/{day}.csv", b"id,name\n%d,day\n" % day)
    put(stack, "mended/bad day+1.csv", HALF_BAD)
    put(stack, "claimed/a.csv", b"id,name\n1,other\n")
    failed = ["incoming/claimed/a.csv", "incoming/mended/bad day+1.csv"]
    assert eventually(lambda: at_rest(stack) and len(keys(stack, "processed/mended/")) == 3)
    describe(stack.datasets, "mended", max_reject_ratio=0.5)
    describe(stack.datasets, "claimed")
    stack.redeploy()

    foretold = run(stack, "retry", "--all-failed", "--dry-run")
    retried = run(stack, "retry", *failed, "--wait")
    again = [run(stack, "retry", "--all-failed", "--dataset", name, "--wait") for name in ("mended", "claimed")]

    assert set(failed) <= {one["key"] for one in foretold["files"]}
    assert foretold["run"] is None
    assert [one["settlement"] for one in retried["settled"]] == ["processed", "processed"]
    assert [one["files"] for one in again] == [[], []]
    assert sorted(ask(stack, "SELECT id FROM mended")) == [(0,), (1,), (2,), (7,)]
    assert ask(stack, "SELECT name FROM claimed") == [("other",)]
    of_mended = "WHERE key LIKE 'incoming/mended/%'"
    assert ask(stack, f"SELECT key, retry FROM penstock.load_history {of_mended}") == [(failed[1], 0)]
    arrivals = f"SELECT arrival FROM penstock.load {of_mended}"
    retries = ask(stack, f"SELECT retry FROM penstock.reject WHERE arrival IN ({arrivals}) ORDER BY retry")
    assert retries == [(0,), (1,)]
    assert [key for key in keys(stack, "failed/mended/") if key.endswith(".csv")] == []

    replayed = run(stack, "replay", "--dataset", "mended")
    swapped = run(stack, "replay", "--dataset", "mended", "--swap")
    urllib3.request("DELETE", f"{stack.search_url}/mended")
    rewritten = run(stack, "replay", "--dataset", "mended", "--documents")
    put(stack, "mended/late.csv", b"id,name\n9,late\n")

    assert (replayed["files"], replayed["comparison"]["equal"], replayed["comparison"]["rebuilt_rows"]) == (4, True, 4)
    assert swapped["loaded_before"] == 4
    assert (rewritten["files"], rewritten["documents"], rewritten["differences"]) == (4, 4, [])
    assert ask(stack, f"SELECT count(*) FROM {swapped['kept_as']}") == [(4,)]
    assert eventually(lambda: max(ask(stack, "SELECT id FROM mended")) == (9,))
    assert eventually(lambda: at_rest(stack) and len(keys(stack, "processed/mended/")) == 5)
    assert run(stack, "reconcile")["ok"]
