"""What functions have spent is read from their logs: what Lambda reports of each call, and what the handler tells."""

from __future__ import annotations

import io
import json
import time
import uuid
from typing import Any

import pytest
from tests.contract.engines import client
from tests.lambda_context import FakeContext

from penstock.handler import Answer, Event, lambda_handler, logger
from penstock.local.billing import Call, billed_calls, told_by_calls
from penstock.model.errors import PermanentError

REPORT = (
    "REPORT RequestId: 1f\tDuration: 211.40 ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: 88 MB\t\n"
)


@pytest.fixture
def logs(aws: str) -> Any:
    return client("logs", aws)


def write(logs: Any, stack: str, function: str, *messages: str) -> None:
    group = f"/aws/lambda/{stack}/{function}"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": message} for message in messages]
    logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=events)


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> str:
    """What the handler writes as a call ends."""
    written = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", written)

    @lambda_handler
    def handler(_event: Event, _context: Any) -> Answer:
        return {"status": "done"}

    handler({"plan": "p"}, FakeContext())
    return written.getvalue()


def test_each_call_is_billed_by_its_own_time_and_memory_and_a_deployments_calls_are_not(logs: Any) -> None:
    stack = f"stack-{uuid.uuid4().hex[:8]}"
    write(logs, stack, "begin_load", "START RequestId: 1f\n", REPORT.format(212, 1024), REPORT.format(100, 1024))
    write(logs, stack, "plan_backfill", REPORT.format(2000, 512))
    write(logs, stack, "apply_datasets", REPORT.format(900, 512))
    write(logs, f"{stack}-other", "begin_load", REPORT.format(1, 1024))

    billed = billed_calls(logs, stack)

    assert sorted(billed, key=lambda call: -call.seconds) == [
        Call("plan_backfill", 2.0, 0.5),
        Call("begin_load", 0.212, 1.0),
        Call("begin_load", 0.1, 1.0),
    ]
    assert sum(call.gb_seconds for call in billed) == pytest.approx(1.312)


def test_a_workers_peak_and_a_calls_processor_time_are_what_the_handler_wrote(logs: Any, line: str) -> None:
    stack = f"stack-{uuid.uuid4().hex[:8]}"
    write(logs, stack, "plan_backfill", "START RequestId: 1f\n", line, REPORT.format(212, 1024))

    (told,) = told_by_calls(logs, stack)

    written = json.loads(line)
    assert (told.function, told.peak_mib, told.cpu_ms) == ("plan_backfill", written["peak_mib"], written["cpu_ms"])
    assert told.peak_mib > 5


def test_more_calls_than_a_page_has_are_all_billed(logs: Any) -> None:
    stack, group = f"stack-{uuid.uuid4().hex[:8]}", ""
    write(logs, stack, "begin_load", REPORT.format(1, 1024))
    group, now = f"/aws/lambda/{stack}/begin_load", int(time.time() * 1000)
    for part in range(3):  # Of 5,000 each, two in a millisecond.
        events = [{"timestamp": now + part * 2500 + n // 2, "message": REPORT.format(1, 1024)} for n in range(5000)]
        logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=events)

    assert len(billed_calls(logs, stack)) == 15_001


def test_where_not_all_calls_can_be_read_there_is_no_bill(logs: Any) -> None:
    stack = f"stack-{uuid.uuid4().hex[:8]}"
    write(logs, stack, "begin_load", *[REPORT.format(1, 1024)] * 10_000)
    write(logs, stack, "settle_batch", *[REPORT.format(1, 1024)] * 9_000)
    events = [{"timestamp": int(time.time() * 1000), "message": REPORT.format(1, 1024)}] * 100
    logs.put_log_events(logGroupName=f"/aws/lambda/{stack}/settle_batch", logStreamName="one", logEvents=events)

    with pytest.raises(PermanentError, match="begin_load has 10,000 lines of one millisecond"):
        billed_calls(logs, stack)
