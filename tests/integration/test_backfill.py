"""Hundreds of files through a backfill on the whole template, on either warehouse, permissions enforced: each row once,
and one message.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from tests.integration.processes import eventually

from penstock.adapters.clock import SystemClock
from penstock.flows.start_backfill import start_backfill
from penstock.local.deployment import local_deployment
from penstock.local.stack import LocalStack
from penstock.model.plans import summary_key
from penstock.ports import RunStatus

DATASETS = Path(__file__).parents[2] / "benchmarks" / "backfill_datasets"
FILES = 120


@pytest.fixture(scope="module", params=["postgres", "redshift"])
def stack(request: pytest.FixtureRequest) -> Iterator[LocalStack]:
    name = f"backfill-{request.param}"
    with LocalStack.temporary(name, datasets=DATASETS, warehouse=request.param, wait_scale=0.05) as stack:
        yield stack


def test_files_below_a_prefix_are_loaded_by_one_execution_each_once(stack: LocalStack) -> None:
    target = local_deployment(stack)
    lease = target.leases.acquire_listing("test", SystemClock().now(), timedelta(hours=1))
    assert lease

    def put(number: int) -> None:
        body = b"sensor,value\n%d,1\n" % number
        stack.client("s3").put_object(Bucket=stack.bucket, Key=f"incoming/readings/{number}.csv", Body=body)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(FILES)))
    run = start_backfill(target.leases, target.runs, SystemClock(), lease, [], "incoming/", 1000, 2**30, 2)
    execution = target.runs.execution_of(run)

    assert eventually(lambda: target.runs.status(execution) is not RunStatus.RUNNING, seconds=60)
    assert target.runs.status(execution) is RunStatus.SUCCEEDED
    with psycopg.connect(stack.warehouse_dsn("owner")) as connection:
        counted = connection.execute("SELECT count(*), count(DISTINCT sensor) FROM readings").fetchone()
    assert counted == (FILES, FILES)
    assert list(target.store.keys("incoming/")) == []
    summary = target.store.get_json(summary_key(run))
    assert summary["ok"]
    assert summary["subject"] == f"Penstock: {FILES} of {FILES} files processed"
    assert (summary["batches"], summary["parts"]) == (2, 2)
    while target.leases.release_listing(lease):
        continue
