"""What `penstock cost` says of a few files and events is what was counted as they went through the whole template."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from tests.template.deployment import TEMPLATE

from penstock.local.billing import billed_calls, lines_by_calls, told_by_calls
from penstock.local.deployment import Deployment, local_deployment
from penstock.local.forecast import Events, Files, batches_of, work_of
from penstock.local.front_doors import writes_of
from penstock.local.runs import RunStory, list_runs, still_running, tell
from penstock.local.stack import LocalStack
from penstock.local.stack_template import StackTemplate
from penstock.producer import Producer

HEADER = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,"
    "dest,air_time,distance,hour,minute,time_hour"
)
FILES = 60
"""More than a batch of flights takes."""
EVENTS = 400
OF_RUNS = ("begin_load", "poll_load", "index_batch", "settle_batch", "summarise_run", "kick_off")


def test_many_small_files_take_what_is_said(local_stack: LocalStack) -> None:
    deployment = local_deployment(local_stack)
    before = processor_time(deployment)
    keys = {f"incoming/flights/forecast-{number}.csv" for number in range(FILES)}
    for number, key in enumerate(sorted(keys)):
        row = f"2013,1,1,517,515,2,830,819,11,XX,{number},N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z"
        local_stack.client("s3").put_object(Bucket=local_stack.bucket, Key=key, Body=f"{HEADER}\n{row}\n".encode())

    stories = settled(deployment, keys)

    check(deployment, stories, Files(FILES, size=300, most_files=50, kick_offs=1), {}, before)


def test_files_that_fill_batches_by_their_bytes_take_what_is_said_on_either_warehouse(stack: LocalStack) -> None:
    deployment = local_deployment(stack)
    before = processor_time(deployment)
    body = b"id,name\n" + b"".join(b"%d,a name of some length\n" % number for number in range(1_600))
    keys = {f"incoming/heavy/{number}.csv" for number in range(4)}
    for number, key in enumerate(sorted(keys)):
        stack.client("s3").put_object(Bucket=stack.bucket, Key=key, Body=body + b"%d,last\n" % number)

    stories = settled(deployment, keys)

    files = Files(len(keys), size=len(body) + 8, most_bytes=64 * 2**10)
    on_redshift = "poll_load" in processor_time(deployment) - before
    check(deployment, stories, files, {"Warehouse": "redshift"} if on_redshift else {}, before)
    assert sum(len(story.batches) for story in stories) == len(keys)


def check(
    deployment: Deployment,
    stories: list[RunStory],
    files: Files,
    parameters: dict[str, str],
    before: Counter[str],
) -> None:
    template = StackTemplate.read(TEMPLATE, parameters)
    batches = sum(batches_of(files, sum(len(one.batch.arrivals) for one in story.batches)) for story in stories)
    told = work_of(files, template, len(stories), batches, listings=0)
    ids = {story.run.id for story in stories}
    assert batches == sum(len(story.batches) for story in stories)
    assert told.kick_offs == sum(len(story.kick_offs) for story in stories)
    assert told.documents_written == sum(any(run in key for run in ids) for key in deployment.store.keys("plans/"))
    assert told.invocations == sum(1 for run in calls_of_runs(deployment) if run in ids)
    if not parameters:  # Else its polls, which the embedded engine's history leaves out: tests/workflow counts them.
        assert told.transitions == sum(story.history.transitions for story in stories)
    worked = sum((processor_time(deployment) - before).values()) / 1000
    # A third to a fifth of them, seen. What is billed has waiting in it, so what is said may not be less than the work;
    # how much more it is depends on the machine, and is for a measurement to say.
    assert 0 < worked < told.gb_seconds


def processor_time(deployment: Deployment) -> Counter[str]:
    """GB-milliseconds of the functions of runs, by function."""
    memory = StackTemplate.read(TEMPLATE, {}).memory
    found: Counter[str] = Counter()
    for call in told_by_calls(deployment.client("logs"), deployment.name):
        if call.function in OF_RUNS:
            found[call.function] += round(call.cpu_ms * memory[call.function])
    return found


def test_events_take_the_writes_that_are_said(local_stack: LocalStack) -> None:
    deployment = local_deployment(local_stack)
    logs, before = deployment.client("logs"), lines_by_calls(deployment.client("logs"), deployment.name)
    calls = stream_calls(deployment)
    with Producer(deployment.outputs["StreamName"], client=deployment.client("kinesis")) as producer:
        for number in range(EVENTS):
            event = {"event_id": f"forecast-{number}", "type": f"forecast-{number % 4}", "at": "2013-01-01T10:00:00Z"}
            producer.put(event, key=str(number))

    until = time.monotonic() + 90
    while (counted := lines_by_calls(logs, deployment.name) - before)["events"] < EVENTS:
        assert time.monotonic() < until, f"{counted} of {EVENTS} events were counted in a minute and a half"
        time.sleep(0.2)  # The mapping tells nobody that it has invoked the function.

    made = stream_calls(deployment) - calls
    template = StackTemplate.read(TEMPLATE, {"Stream": "provisioned", "StreamShards": "2"})
    told = made * writes_of(Events(EVENTS, types=4), template, EVENTS / made)
    assert counted["writes"] == pytest.approx(told, rel=0.02)


def stream_calls(deployment: Deployment) -> int:
    calls = billed_calls(deployment.client("logs"), deployment.name)
    return sum(call.function == "process_stream" for call in calls)


def settled(deployment: Deployment, keys: set[str]) -> list[RunStory]:
    """The runs that held `keys`, when all are over."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if not any(key in keys for key in deployment.store.keys("incoming/")):
            stories = [tell(deployment, run) for run in list_runs(deployment, 1000)]
            mine = [s for s in stories if any(a.key in keys for b in s.batches for a in b.batch.arrivals)]
            if not any(still_running(story.run) for story in mine):
                return mine
        time.sleep(0.5)  # Nothing tells when it is done: who waits asks again.
    pytest.fail("the files were not settled within two minutes")


def calls_of_runs(deployment: Deployment) -> Iterator[str]:
    """The run of each call that was made by one, from what every function logs as it ends."""
    logs = deployment.client("logs")
    prefix = f"/aws/lambda/{deployment.name}/"
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
        for group in page["logGroups"]:
            if group["logGroupName"].endswith("/rebuild_views"):
                continue  # What is kicked off is no part of the run.
            events = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
            for message in (event["message"] for found in events for event in found["events"]):
                if message.startswith("{") and (line := json.loads(message)).get("message") == "done":
                    yield line.get("run", "")
