"""However a stack ends, nothing of it is left: no process, no folder, no Lambda function in the midst of its work."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import urllib3
from tests.integration.processes import eventually, flat, processes_of

from penstock.local.children import Process, await_end
from penstock.local.search_node import missing
from penstock.local.stack import LocalStack
from penstock.model.errors import PermanentError

SECONDS = 5

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Sleeper:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/sleeper/, Handler: app.handler, Runtime: python3.13, Timeout: 600}
Outputs:
  Sleeper: {Value: !Ref Sleeper}
"""
FUNCTION = """
import time
from pathlib import Path

def handler(event, context):
    Path(event["begun"]).touch()
    time.sleep(500)
"""
OWNER = """
import sys
from pathlib import Path
from penstock.local.stack import LocalStack
home, template = map(Path, sys.argv[1:])
LocalStack.up("owned", home, template=template, lifeline=True, temporary=True)
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """One function, which sleeps for longer than any test."""
    function = tmp_path / "functions" / "sleeper" / "app.py"
    function.parent.mkdir(parents=True)
    function.write_text(FUNCTION)
    (tmp_path / "datasets").mkdir()
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    return tmp_path / "template.yaml"


def at_work(stack: LocalStack, tmp_path: Path) -> dict[str, list[Process]]:
    """The stack's processes, while a function of it is working."""
    begun = tmp_path / f"{stack.name}-begun"
    payload = json.dumps({"begun": str(begun)})
    stack.client("lambda").invoke(FunctionName=stack.outputs["Sleeper"], InvocationType="Event", Payload=payload)
    assert eventually(begun.exists)
    processes = processes_of(stack)
    assert {"supervisor", "reaper", "ministack", "postgres", "pipelines", "nursery", "worker"} <= processes.keys()
    return processes


def test_a_stack_whose_owner_is_killed_ends_with_it(tmp_path: Path, template: Path) -> None:
    arguments = [sys.executable, "-c", OWNER, str(tmp_path / "home"), str(template)]
    owner = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"up\n"
    stack = LocalStack.find("owned", tmp_path / "home")
    processes = at_work(stack, tmp_path)

    owner.kill()
    owner.communicate()

    assert await_end(flat(processes), SECONDS) == []
    assert eventually(lambda: not stack.folder.parent.exists(), SECONDS)


@pytest.mark.parametrize("victims", [["supervisor"], ["reaper", "supervisor"]])
def test_a_stack_whose_supervisor_is_killed_leaves_nothing(tmp_path: Path, template: Path, victims: list[str]) -> None:
    if "reaper" in victims and sys.platform != "linux":
        pytest.skip("only Linux ends a child with its parent")
    stack = LocalStack.up("orphaned", tmp_path / "home", template=template, temporary=True)
    processes = at_work(stack, tmp_path)

    for victim in victims:
        os.kill(processes[victim][0].pid, signal.SIGKILL)

    assert await_end(flat(processes), SECONDS) == []
    if "reaper" not in victims:
        assert eventually(lambda: not stack.folder.exists(), SECONDS)
    stack.down()


def test_a_stack_ends_with_any_of_its_engines_and_says_which(tmp_path: Path, template: Path) -> None:
    stack = LocalStack.up("broken", tmp_path / "home", template=template)
    processes = at_work(stack, tmp_path)

    processes["ministack"][0].signal(signal.SIGKILL)

    assert await_end(flat(processes), SECONDS) == []
    assert "ministack ended with -9" in (stack.folder / "state.json").read_text()
    stack.down()


def test_two_stacks_live_side_by_side_and_each_goes_down_alone(tmp_path: Path, template: Path) -> None:
    home = tmp_path / "home"
    one = LocalStack.up("one", home, template=template)
    other = LocalStack.up("other", home, template=template)
    with pytest.raises(PermanentError, match="is up already"):
        LocalStack.up("one", home, template=template)
    processes = at_work(one, tmp_path)

    assert LocalStack.find("one", home).down() is True
    assert await_end(flat(processes), SECONDS) == []
    assert one.down() is False
    assert not one.folder.exists()

    assert all(engine.alive for engine in other.status())
    assert other.client("s3").list_buckets()["Buckets"]
    assert other.down() is True
    with pytest.raises(PermanentError, match="there is no stack other"):
        LocalStack.find("other", home)


def test_a_template_that_fails_to_deploy_says_what_failed_and_leaves_nothing_running(
    tmp_path: Path, template: Path
) -> None:
    template.write_text(
        TEMPLATE.replace("Outputs:", "  Wrong: {Type: AWS::CloudWatch::Alarm, Properties: {}}\nOutputs:")
    )

    with pytest.raises(PermanentError, match=r"What failed: .*Wrong \(AWS::CloudWatch::Alarm\)"):
        LocalStack.up("failed", tmp_path / "home", template=template)

    stack = LocalStack.find("failed", tmp_path / "home")
    assert not any(engine.alive for engine in stack.status())
    stack.down()


def test_a_real_search_node_serves_a_stack_and_ends_with_it_though_its_first_start_fails(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why := missing("opensearch"):
        pytest.skip(why)
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f'#!/bin/sh\nmkdir "{tmp_path}/first" 2>/dev/null && exit 1\nexec "{shutil.which("java")}" "$@"\n')
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    with LocalStack.temporary("real", template=template, search="opensearch") as stack:
        root = json.loads(urllib3.request("GET", stack.search_url, retries=False).data)
        (node,) = [engine for engine in stack.status() if engine.name == "search"]

    assert (tmp_path / "first").is_dir()
    assert root["version"]["distribution"] == "opensearch"
    assert not psutil.pid_exists(node.pid)
