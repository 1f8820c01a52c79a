"""What `penstock cost` says of a few files is what was counted as they went through the whole template."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from tests.template.deployment import TEMPLATE

from penstock.local.deployment import Deployment, local_deployment
from penstock.local.forecast import Files, batches_of, work_of
from penstock.local.runs import RunStory, list_runs, still_running, tell
from penstock.local.stack import LocalStack
from penstock.local.stack_template import StackTemplate

HEADER = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,"
    "dest,air_time,distance,hour,minute,time_hour"
)
FILES = 60
"""More than a batch of flights takes."""


def test_what_a_run_is_said_to_take_is_what_it_took(local_stack: LocalStack) -> None:
    deployment = local_deployment(local_stack)
    keys = {f"incoming/flights/forecast-{number}.csv" for number in range(FILES)}
    for number, key in enumerate(sorted(keys)):
        row = f"2013,1,1,517,515,2,830,819,11,XX,{number},N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z"
        local_stack.client("s3").put_object(Bucket=local_stack.bucket, Key=key, Body=f"{HEADER}\n{row}\n".encode())

    stories = settled(deployment, keys)

    files = Files(FILES, size=300, most_files=50, kick_offs=1)
    batches = sum(batches_of(files, sum(len(one.batch.arrivals) for one in story.batches)) for story in stories)
    told = work_of(files, StackTemplate.read(TEMPLATE, {}), len(stories), batches, listings=0)
    ids = {story.run.id for story in stories}
    assert batches == sum(len(story.batches) for story in stories)
    assert told.transitions == sum(story.history.transitions for story in stories)
    assert told.kick_offs == sum(len(story.kick_offs) for story in stories)
    assert told.documents_written == sum(any(run in key for run in ids) for key in deployment.store.keys("plans/"))
    assert told.invocations == sum(1 for run in calls_of_runs(deployment) if run in ids)


def settled(deployment: Deployment, keys: set[str]) -> list[RunStory]:
    """The runs that held `keys`, when all are over."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if not any(key in keys for key in deployment.store.keys("incoming/flights/forecast-")):
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
