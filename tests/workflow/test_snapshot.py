"""SnapStart: the runtime's own hooks, called by AWS's own `awslambdaric`, in workers that are copies of one another."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from tests.template.deployment import REPOSITORY
from tests.workflow.runtime_api import worker

SNAPSHOT = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
STACK = {
    "PENSTOCK_BUCKET": "landing",
    "PENSTOCK_LEASE_TABLE": "leases",
    "PENSTOCK_DATASETS": str(REPOSITORY / "datasets"),
    "PENSTOCK_WAREHOUSE": "postgres",
    "PENSTOCK_SEARCH_URL": "http://127.0.0.1:9",
    "POWERTOOLS_TRACE_DISABLED": "1",
}
DRAWS = """\
import random
from botocore.retries.standard import ExponentialBackoff
from penstock.handler import lambda_handler

random.seed(7)  # What each copy of a snapshot has: the same state.


@lambda_handler
def handler(event, context):
    class Third:
        attempt_number = 3
    return {"jitter": ExponentialBackoff().delay_amount(Third), "drawn": random.random()}
"""


@pytest.fixture
def drawing(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(DRAWS)
    return tmp_path


def drawn(folder: Path, environment: dict[str, str]) -> dict[str, float]:
    with worker(folder, STACK | environment) as one:
        if environment:
            with one.snapshot():
                pass
        answer: dict[str, float] = one.invoke({}).body
    return answer


def test_copies_of_one_snapshot_wait_for_different_times_before_they_try_again(drawing: Path) -> None:
    first, second = drawn(drawing, SNAPSHOT), drawn(drawing, SNAPSHOT)

    assert first["jitter"] != second["jitter"]
    assert first["drawn"] != second["drawn"]
    assert drawn(drawing, {}) == drawn(drawing, {}), "without the hook they would be alike"


@pytest.mark.parametrize("function", ["begin_load", "index_batch", "settle_batch"])
def test_a_snapshot_has_all_that_an_event_imports_and_nothing_that_grows_old(function: str) -> None:
    with worker(REPOSITORY / "functions" / function, STACK | SNAPSHOT) as one, one.snapshot():
        process = psutil.Process(one.pid)
        imported = {Path(each.path).parent.name for each in process.memory_maps()}
        connected = [each.raddr for each in process.net_connections() if each.raddr]

    assert "psycopg_binary" in imported
    assert len(connected) == 1, "to Lambda itself, which waits for the snapshot to be taken"


def test_where_no_snapshot_is_taken_a_function_imports_nothing_before_it_is_asked() -> None:
    with worker(REPOSITORY / "functions" / "begin_load", STACK) as one:
        refused = one.invoke({})

        assert refused.error_type == "PermanentError"
        assert "psycopg_binary" not in {Path(each.path).parent.name for each in psutil.Process(one.pid).memory_maps()}


def test_what_a_version_cannot_begin_with_keeps_it_from_being_published() -> None:
    nowhere = {"PENSTOCK_DATASETS": "/nowhere"}
    with worker(REPOSITORY / "functions" / "begin_load", STACK | SNAPSHOT | nowhere) as one:
        reported = one.reported()

    assert reported.error_type == "DatasetError"
