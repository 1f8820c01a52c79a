"""However a stack ends, nothing of it is left: no process, no port, no folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.processes import eventually, flat, processes_of

from penstock.local.children import await_end
from penstock.local.stack import LocalStack
from penstock.model.errors import PermanentError

SECONDS = 5

OWNER = """
import sys
from pathlib import Path
from penstock.local.stack import LocalStack
LocalStack.up("owned", Path(sys.argv[1]), lifeline=True, temporary=True)
print("up", flush=True)
sys.stdin.read()
"""


def test_a_stack_whose_owner_is_killed_ends_with_it(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"up\n"
    stack = LocalStack.find("owned", tmp_path)
    processes = processes_of(stack)

    owner.kill()
    owner.communicate()

    assert {"ministack", "postgres", "pipelines", "reaper", "worker"} <= processes.keys()
    assert await_end(flat(processes), SECONDS) == []
    assert eventually(lambda: not stack.folder.exists(), SECONDS)


@pytest.mark.parametrize("victims", [["supervisor"], ["supervisor", "reaper"]])
def test_a_stack_whose_supervisor_is_killed_leaves_nothing(tmp_path: Path, victims: list[str]) -> None:
    if victims != ["supervisor"] and sys.platform != "linux":
        pytest.skip("only Linux ends a child with its parent")
    stack = LocalStack.up("orphaned", tmp_path, temporary=True)
    processes = processes_of(stack)

    for victim in reversed(victims):
        os.kill(processes[victim][0].pid, signal.SIGKILL)

    assert await_end(flat(processes), SECONDS) == []
    if "reaper" not in victims:
        assert eventually(lambda: not stack.folder.exists(), SECONDS)
    stack.down()


def test_a_stack_ends_with_any_of_its_engines_and_says_which(tmp_path: Path) -> None:
    stack = LocalStack.up("broken", tmp_path)
    processes = processes_of(stack)

    processes["ministack"][0].signal(signal.SIGKILL)

    assert await_end(flat(processes), SECONDS) == []
    assert "ministack ended with -9" in (stack.folder / "state.json").read_text()
    stack.down()


def test_two_stacks_live_side_by_side_and_each_goes_down_alone(tmp_path: Path) -> None:
    one = LocalStack.up("one", tmp_path)
    other = LocalStack.up("other", tmp_path)
    with pytest.raises(PermanentError, match="is up already"):
        LocalStack.up("one", tmp_path)

    processes = processes_of(one)
    assert LocalStack.find("one", tmp_path).down() is True
    assert await_end(flat(processes), SECONDS) == []
    assert one.down() is False
    assert not one.folder.exists()

    assert all(engine.alive for engine in other.status())
    assert other.client("s3").list_buckets()["Buckets"]
    assert other.down() is True
    with pytest.raises(PermanentError, match="there is no stack other"):
        LocalStack.find("other", tmp_path)
