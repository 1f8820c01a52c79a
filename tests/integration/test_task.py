"""The Fargate task's command, as a process of its own on the laptop's engines: it loads a batch, and exits with what a
function would have raised.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta

import psycopg
import pytest

from penstock.adapters.clock import SystemClock
from penstock.local.deployment import Deployment, local_deployment
from penstock.local.engines import REGION
from penstock.local.stack import LocalStack
from penstock.model.plans import Batch, Plan, plan_key

ROWS = "carrier,name\n" + "".join(f"{number:05d},of the task\n" for number in range(3))
PLAN = "a-task"


@pytest.fixture(scope="module")
def target(local_stack: LocalStack) -> Iterator[Deployment]:
    """With a plan of one batch, and no listing meanwhile that would plan its file too."""
    deployment, clock = local_deployment(local_stack), SystemClock()
    until = time.monotonic() + 60
    while (lease := deployment.leases.acquire_listing("test", clock.now(), timedelta(minutes=10))) is None:
        assert time.monotonic() < until, "a listing has held its lease for a minute"
        time.sleep(0.1)  # A lease has nothing to wait on.
    key = "incoming/airlines/task.csv"
    local_stack.client("s3").put_object(Bucket=local_stack.bucket, Key=key, Body=ROWS.encode())
    (arrival,) = deployment.store.arrivals(key)
    plan = Plan(PLAN, clock.now(), (Batch(0, "airlines", (arrival,)),))
    deployment.store.put_json(plan_key(PLAN), plan.to_json())
    yield deployment
    for version in arrival.lies.versions:
        local_stack.client("s3").delete_object(Bucket=local_stack.bucket, Key=key, VersionId=version)
    while deployment.leases.release_listing(lease):
        continue


def run(stack: LocalStack, *arguments: str, **changed: str) -> int:
    """With what the template gives to BeginLoad's environment, which is what its task has."""
    client = stack.client("cloudformation")
    found = client.describe_stack_resource(StackName=stack.name, LogicalResourceId="BeginLoad")["StackResourceDetail"]
    function = stack.client("lambda").get_function_configuration(FunctionName=found["PhysicalResourceId"])
    given: Mapping[str, str] = function["Environment"]["Variables"]
    environment = {name: value for name, value in given.items() if name.startswith(("PENSTOCK_", "POWERTOOLS_"))}
    aws = {
        "AWS_ENDPOINT_URL": stack.endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    command = [sys.executable, "-m", "penstock.task", *arguments]
    all_of_it = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **environment, **aws, **changed}
    return subprocess.run(command, env=all_of_it, check=False, timeout=60, capture_output=True).returncode


def loaded(stack: LocalStack) -> int:
    with psycopg.connect(stack.warehouse_dsn("owner")) as connection:
        found = connection.execute("SELECT count(*) FROM public.airlines WHERE name = 'of the task'").fetchone()
        return int(found[0]) if found else 0


@pytest.mark.usefixtures("target")
def test_it_loads_its_batch_once_however_often_it_is_run(local_stack: LocalStack) -> None:
    codes = [run(local_stack, "begin_load", "--plan", PLAN, "--batch", "0") for _ in range(2)]

    assert codes == [0, 0]
    assert loaded(local_stack) == 3


@pytest.mark.usefixtures("target")
@pytest.mark.parametrize(
    ("changed", "plan", "code"),
    [
        ({}, "no-such-plan", 65),
        ({"PENSTOCK_WAREHOUSE_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:000000000000:secret:gone"}, PLAN, 69),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, PLAN, 75),
    ],
)
def test_its_exit_code_says_what_a_function_would_have_raised(
    local_stack: LocalStack, changed: dict[str, str], plan: str, code: int
) -> None:
    assert run(local_stack, "begin_load", "--plan", plan, "--batch", "0", **changed) == code
