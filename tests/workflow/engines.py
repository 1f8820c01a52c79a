"""The engines that the tests run on, and what a finished execution tells."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

HERE = Path(__file__).parent
MOCKS = HERE / "MockConfigFile.json"
IMAGE = "amazon/aws-stepfunctions-local"
MACHINE = "Ingest"
"""The name under which MockConfigFile.json knows the machine."""


@dataclass(frozen=True)
class Execution:
    """A finished one. `history` is its events, oldest first."""

    status: str
    error: str
    cause: str
    output: Any
    history: Sequence[dict[str, Any]]

    def given(self, state: str) -> list[dict[str, Any]]:
        """What each attempt of a task was called with: a function's payload, or a service's parameters."""
        calls = [
            json.loads(event["taskScheduledEventDetails"]["parameters"])
            for event in self.history
            if event["type"] == "TaskScheduled" and self._state_of(event) == state
        ]
        return [call.get("Payload", call) for call in calls]

    def attempts(self, state: str) -> int:
        return len(self.given(state))

    def entered(self, state: str) -> list[Any]:
        """The input with which a state was entered, each time that it was."""
        entries = [event["stateEnteredEventDetails"] for event in self.history if "stateEnteredEventDetails" in event]
        return [json.loads(entry["input"]) for entry in entries if entry["name"] == state]

    def _state_of(self, event: dict[str, Any]) -> str | None:
        while event:
            if "stateEnteredEventDetails" in event:
                return str(event["stateEnteredEventDetails"]["name"])
            event = self._by_id.get(event["previousEventId"], {})
        return None

    @cached_property
    def _by_id(self) -> dict[int, dict[str, Any]]:
        return {event["id"]: event for event in self.history}


class Machine:
    """The machine under test on an engine. `run` executes one of the test cases in MockConfigFile.json."""

    def __init__(self, client: SFNClient, definition: dict[str, Any], name: str = MACHINE) -> None:
        self._client = client
        role = "arn:aws:iam::123456789012:role/any"
        made = client.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)
        self._arn = made["stateMachineArn"]
        self.last = ""
        """The ARN of the execution that ran last."""

    def run(self, test_case: str, batches: Sequence[int] = (0,)) -> Execution:
        return self.execute(test_case, {"plan": "p-1", "batches": list(batches)})

    def execute(self, test_case: str, given: dict[str, Any]) -> Execution:
        started = self._client.start_execution(stateMachineArn=f"{self._arn}#{test_case}", input=json.dumps(given))
        arn = started["executionArn"]
        until = time.monotonic() + 300  # Step Functions Local waits out its retries.
        while (found := self._client.describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() < until, f"{test_case} is still running after five minutes"
            time.sleep(0.02)  # Step Functions has nothing to wait on: its callers ask again.
        history = self._history(arn)
        last = history[-1].get("executionFailedEventDetails", {})
        output = json.loads(found["output"]) if found["status"] == "SUCCEEDED" else None
        self.last = arn
        return Execution(found["status"], last.get("error", ""), last.get("cause", ""), output, history)

    def _history(self, arn: str) -> list[dict[str, Any]]:
        pages: Any = self._client.get_paginator("get_execution_history").paginate(executionArn=arn)
        return [event for page in pages for event in page["events"]]

    def children(self) -> list[dict[str, Any]]:
        """The child executions of the last execution's Distributed Maps: `{"status", "input", "output", "history"}`."""
        found = []
        for run in self._client.list_map_runs(executionArn=self.last)["mapRuns"]:
            for child in self._client.list_executions(mapRunArn=run["mapRunArn"])["executions"]:
                told = self._client.describe_execution(executionArn=child["executionArn"])
                found.append(
                    {
                        "status": told["status"],
                        "input": json.loads(told["input"]),
                        "output": json.loads(told.get("output", "null")),
                        "history": self._history(child["executionArn"]),
                    }
                )
        return found

    def delete(self) -> None:
        self._client.delete_state_machine(stateMachineArn=self._arn)


def client_of(endpoint: str) -> SFNClient:
    return boto3.client(
        "stepfunctions",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(connect_timeout=2, retries={"total_max_attempts": 1}),
    )


@contextmanager
def embedded(port: int, folder: Path) -> Iterator[str]:
    """MiniStack, as a child that is ended by its pid. Waits and retries take a thousandth of their time."""
    environment = {
        **os.environ,
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFN_MOCK_CONFIG": str(MOCKS),
        "SFN_WAIT_SCALE": "0.0001",
        "LOG_LEVEL": "WARNING",
    }
    with _serving(HERE / "embedded_engine.py", [], environment, port, folder) as endpoint:
        yield endpoint


@contextmanager
def moto_live(port: int, folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """moto's interpreter, whose tasks call what `environment` names (live_engine.py)."""
    with _serving(HERE / "live_engine.py", [str(port)], environment, port, folder) as endpoint:
        yield endpoint


@contextmanager
def _serving(
    program: Path, arguments: Sequence[str], environment: Mapping[str, str], port: int, folder: Path
) -> Iterator[str]:
    with (folder / "engine.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, program, *arguments], env=environment, stdout=log, stderr=log, cwd=folder
        )
    try:
        _await(port, child, folder / "engine.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def has_image() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode == 0


@contextmanager
def step_functions_local(port: int) -> Iterator[str]:
    """AWS's own image, with the same mock file. WAIT_TIME_SCALE is its way to shrink waits."""
    inside = "/home/StepFunctionsLocal/MockConfigFile.json"
    options = ["-p", f"127.0.0.1:{port}:8083", "-v", f"{MOCKS}:{inside}:ro", "-e", f"SFN_MOCK_CONFIG={inside}"]
    keys = ["-e", "AWS_ACCESS_KEY_ID=test", "-e", "AWS_SECRET_ACCESS_KEY=test", "-e", "AWS_DEFAULT_REGION=us-east-1"]
    command = ["docker", "run", "--rm", "-d", *options, *keys, "-e", "WAIT_TIME_SCALE=0.001", IMAGE]
    container = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    try:
        await_answer(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        subprocess.run(["docker", "stop", "-t", "2", container], capture_output=True, check=False)


def _await(port: int, child: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert child.poll() is None, f"the engine ended before it served:\n{log.read_text()[-2000:]}"
        time.sleep(0.02)
    raise AssertionError(f"the engine did not serve within 30 seconds:\n{log.read_text()[-2000:]}")


def await_answer(endpoint: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            client_of(endpoint).list_state_machines()
        except (BotoCoreError, ClientError):
            assert time.monotonic() < until, f"{IMAGE} did not answer within a minute"
            time.sleep(0.2)
        else:
            return
