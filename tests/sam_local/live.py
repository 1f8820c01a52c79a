"""The state machines on an engine whose tasks are answered by the real functions: Step Functions Local, or moto's.

A listing starts the run there, as on AWS, and what a run kicks off runs there too: the machines have the ARNs that the
functions know from the template, and are as they were deployed, but for the functions' names.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from tests.integration.processes import eventually
from tests.sam.answers import Invoke
from tests.sam.build import environment
from tests.sam.world import World
from tests.sam_local.containers import Containers
from tests.sam_local.image import IMAGE as FUNCTIONS
from tests.workflow.differences import for_moto
from tests.workflow.engines import IMAGE, await_answer, client_of, moto_live

from penstock.local.engines import ACCOUNT, REGION

_WAIT_SCALE = "0.01"


@dataclass(frozen=True)
class Live:
    """`functions` and `machines` are endpoints: of Lambda's Invoke, and of Step Functions."""

    world: World
    functions: str
    machines: str
    awss: bool
    """Whether it is AWS's engine, which has no Distributed Map, and goes to no S3 but AWS's own."""

    def deploy(self) -> None:
        """Makes the machines on the engine, of their definitions in the stack."""
        deployed = self.world.stack.client("stepfunctions")
        for name, arn in self.world.machines().items():
            told = deployed.describe_state_machine(stateMachineArn=arn)
            text = told["definition"]
            for function, named in self.world.functions().items():
                text = text.replace(named, f"{named.rpartition(':')[0]}:{function}")
            definition = json.loads(text)
            if name == "BackfillStateMachine":
                if self.awss:
                    continue
                definition = for_moto(definition)
            made = client_of(self.machines).create_state_machine(
                name=told["name"], definition=json.dumps(definition), roleArn=told["roleArn"]
            )
            assert made["stateMachineArn"] == arn

    def list_incoming(self) -> str:
        """The run that a listing has started."""
        answer = invoking(self.functions)("ListIncoming", self.world.event("schedule-tick.json"))
        [plan] = answer["plans"]
        return str(plan)

    def end_of(self, machine: str, name: str) -> dict[str, Any]:
        """An execution as it is described when it is over."""
        client: Any = client_of(self.machines)
        arn = f"{self.world.machines()[machine].replace(':stateMachine:', ':execution:')}:{name}"

        def is_over() -> bool:
            return bool(client.describe_execution(executionArn=arn)["status"] != "RUNNING")

        assert eventually(is_over, 600), f"{name} still runs after ten minutes"
        told: dict[str, Any] = client.describe_execution(executionArn=arn)
        return told


def invoking(endpoint: str) -> Invoke:
    client: Any = boto3.client(
        "lambda",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(read_timeout=600, retries={"total_max_attempts": 1}),
    )

    def invoke(function: str, event: dict[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(
            client.invoke(FunctionName=function, Payload=json.dumps(event))["Payload"].read()
        )
        return told

    return invoke


@contextmanager
def moto_calling(functions: str, stack: str, port: int, folder: Path) -> Iterator[str]:
    """moto's interpreter at `port`: its tasks call `functions`, and else what is at `stack`."""
    endpoints = {"AWS_ENDPOINT_URL_LAMBDA": functions, "AWS_ENDPOINT_URL": stack}
    more = {"MOTO_ACCOUNT_ID": ACCOUNT, "WAIT_TIME_SCALE": _WAIT_SCALE}
    with moto_live(port, folder, environment({**endpoints, **more})) as endpoint:
        yield endpoint


@contextmanager
def step_functions_local_calling(functions: str, stack: str, port: int, local: Containers) -> Iterator[str]:
    """AWS's image at `port`, in the network of a container that has the relay: both endpoints are this machine's."""
    given: Mapping[str, str] = {
        "LAMBDA_ENDPOINT": functions,
        "SNS_ENDPOINT": stack,
        "AWS_ACCOUNT_ID": ACCOUNT,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "WAIT_TIME_SCALE": _WAIT_SCALE,
    }
    variables = [part for name, value in given.items() for part in ("--env", f"{name}={value}")]
    ways = ["--publish", f"127.0.0.1:{port}:8083", "--volume", f"{local.variables.parent}:/var/task"]
    begin = ("run", "--rm", "--detach")
    way = local.docker.run(*begin, *ways, "--entrypoint", "/penstock/wrapper", FUNCTIONS, "sleep", "infinity")
    try:
        engine = local.docker.run(*begin, "--network", f"container:{way}", *variables, IMAGE)
        try:
            await_answer(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            local.docker.run("rm", "--force", engine)
    finally:
        local.docker.run("rm", "--force", way)


def has_step_functions_local(local: Containers) -> bool:
    """Whether Docker has AWS's image, or can have it."""
    try:
        local.docker.run("pull", IMAGE, seconds=600)
    except subprocess.SubprocessError:
        pass
    else:
        return True
    try:
        local.docker.run("image", "inspect", IMAGE)
    except subprocess.SubprocessError:
        return False
    return True
