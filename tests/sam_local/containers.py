"""`sam local invoke` and `start-lambda` on what `sam build` made, in containers that reach this machine's engines."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
from tests.sam.build import BIN, RUNTIME, environment, read_template, write_template
from tests.sam.world import World
from tests.sam_local import relay
from tests.sam_local.daemon import Docker
from tests.sam_local.image import IMAGE, with_relay
from tests.template.deployment import REPOSITORY

_CONTAINER = re.compile(r"SAM_CONTAINER_ID: (\w+)")
_REPORT = re.compile(r"REPORT .*?Duration: ([\d.]+) ms\s+Billed")


@dataclass
class Seen:
    """Of one function's invocations."""

    answers: int = 0
    slowest: float = 0
    """By the REPORT line, seconds; the function's start is in it."""
    memory: int = 0
    """What the container had, MiB."""
    peak: int = 0
    """The most that the function's process had resident, MiB. REPORT's Max Memory Used is only what it was given."""


@dataclass
class Containers:
    docker: Docker
    world: World
    built: Path
    variables: Path
    template: str = "template.yaml"
    """In `built`."""
    seen: dict[str, Seen] = field(default_factory=dict)

    def invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        """By `sam local invoke`, in a container that is made for it and goes with it."""
        process = subprocess.Popen(
            [BIN / "sam", "local", "invoke", function, *self._options, "--event", "-"],
            cwd=self.built,
            env=environment(self.docker.variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin
        assert process.stderr
        assert process.stdout
        process.stdin.write(json.dumps(event))
        process.stdin.close()
        said, seen = [], self.seen.setdefault(function, Seen())
        for line in process.stderr:
            said.append(line)
            if container := _CONTAINER.search(line):
                threading.Thread(target=self._watch, args=(process, container[1], seen), daemon=True).start()
        answer, told = process.stdout.read(), "".join(said)
        process.stdout.close()
        process.stderr.close()
        assert process.wait() == 0, told
        report = _REPORT.search(told)
        assert report, f"{function} was ended before it answered: {told}"
        seen.answers += 1
        seen.slowest = max(seen.slowest, float(report[1]) / 1000)
        parsed: dict[str, Any] = json.loads(answer)
        return parsed

    @contextmanager
    def start_lambda(self, port: int) -> Iterator[str]:
        """Where `sam local start-lambda` listens; with warm containers it would read the sockets as files of code."""
        arguments = [*self._options, "--port", str(port)]
        with (self.variables.parent / "start-lambda.log").open("w+") as log:
            serving = subprocess.Popen(
                [BIN / "sam", "local", "start-lambda", *arguments],
                cwd=self.built,
                env=environment(self.docker.variables),
                stdout=log,
                stderr=log,
            )
            try:
                deadline = time.monotonic() + 120
                while port not in _listened_to_by(serving.pid):
                    assert serving.poll() is None, "sam local start-lambda ended before it served"
                    assert time.monotonic() < deadline, "sam local start-lambda did not serve within two minutes"
                    time.sleep(0.1)
                yield f"http://127.0.0.1:{port}"
            except Exception as failed:
                log.seek(0)
                failed.add_note(log.read())
                raise
            finally:
                serving.terminate()
                serving.wait(60)

    def with_memory(self, function: str, mebibytes: int) -> Containers:
        """The same, but for what the template says of one function's memory."""
        source = read_template(self.built / self.template)
        source["Resources"][function]["Properties"]["MemorySize"] = mebibytes
        changed = self.built / "changed.yaml"
        write_template(changed, source)
        return replace(self, template=changed.name, seen={})

    @property
    def _options(self) -> list[str]:
        return [
            *("--template", str(self.built / self.template), "--env-vars", str(self.variables)),
            *("--invoke-image", IMAGE, "--skip-pull-image", "--parameter-overrides", f"PythonRuntime={RUNTIME}"),
        ]

    def _watch(self, invocation: subprocess.Popen[str], container: str, seen: Seen) -> None:
        asked = "{{.State.Pid}} {{.HostConfig.Memory}}"
        while invocation.poll() is None:
            try:
                first, memory = map(int, self.docker.run("inspect", "--format", asked, container).split())
            except subprocess.SubprocessError:  # It is gone already.
                return
            if first:
                seen.memory = memory // 2**20
                break
        while invocation.poll() is None:
            try:
                processes = psutil.Process(first).children(recursive=True)
            except psutil.Error:
                return
            seen.peak = max([seen.peak, *map(_peak, processes)])
            time.sleep(0.02)


@contextmanager
def containers(
    docker: Docker,
    base: str,
    world: World,
    built: Path,
    ports: Sequence[int] = (),
    more: Mapping[str, str] | None = None,
) -> Iterator[Containers]:
    """They reach `ports` of this machine beside the engines', and have `more` variables beside the template's."""
    ports = [*ports, *(engine.port for engine in world.stack.status() if engine.port)]
    functions = [path.parent for path in built.glob("*/app.py")]
    with ExitStack() as until, tempfile.TemporaryDirectory(prefix="penstock-") as name:
        folder = Path(name)
        until.enter_context(_relay(folder, ports))
        for function in functions:  # /var/task is all that `sam local` mounts.
            for port in ports:
                link = function / f"host-{port}"
                link.hardlink_to(folder / link.name)
                until.callback(link.unlink)
        environments = {function.name: world.environment(function.name) for function in functions}
        [endpoint] = {variables["AWS_ENDPOINT_URL"] for variables in environments.values()}
        with_relay(docker, base, ports, {"AWS_ENDPOINT_URL": endpoint, **(more or {})})
        until.callback(docker.run, "rmi", "--force", IMAGE)
        (folder / "variables.json").write_text(json.dumps(environments))
        yield Containers(docker, world, built, folder / "variables.json")


@contextmanager
def _relay(folder: Path, ports: list[int]) -> Iterator[None]:
    command = [sys.executable, relay.__file__, "outside", str(folder), *map(str, ports)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY)
    assert process.stdout
    try:
        assert process.stdout.readline(), "the relay ended before it listened"
        yield
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _listened_to_by(pid: int) -> set[int]:
    try:
        return {at.laddr.port for at in psutil.Process(pid).net_connections("tcp") if at.status == psutil.CONN_LISTEN}
    except psutil.Error:
        return set()


def _peak(process: psutil.Process) -> int:
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0
    return max([0, *(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))])
