"""What `sam build` made, measured: bytes, the import of each handler, and its first answer under Lambda's emulator."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.sam.answers import play
from tests.sam.emulator import Emulated, emulated
from tests.sam.runtime import runtime, sdk
from tests.sam.world import World
from tests.template.deployment import source

LAYERS = ("PenstockLayer", "DatasetsLayer")
ROUNDS = 10
"""Of each import; the least of them is taken, which says what the code takes and not who else was busy. A round is
of all functions: a machine is slow for longer than one of them takes."""

_IMPORT = """
import sys, time
sys.path[:0] = sys.argv[1:]
began = time.process_time()
import app
print(time.process_time() - began)
"""


@dataclass(frozen=True)
class Size:
    """Bytes of a folder that `sam build` made, as they are unpacked, and as they are sent."""

    unzipped: int
    zipped: int

    def __add__(self, other: Size) -> Size:
        return Size(self.unzipped + other.unzipped, self.zipped + other.zipped)


@dataclass(frozen=True)
class Start:
    """Seconds of one function's first answer, with the start of its process, and of the same event once more."""

    cold: float
    warm: float


def functions(build: Path) -> list[str]:
    """Logical ids."""
    return sorted(path.parent.name for path in build.glob("*/app.py"))


def size(folder: Path) -> Size:
    files = [path for path in folder.rglob("*") if path.is_file()]
    with tempfile.TemporaryFile() as held:
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in files:
                archive.write(path, path.relative_to(folder))
        return Size(sum(path.stat().st_size for path in files), held.tell())


def imports(build: Path) -> dict[str, float]:
    """Seconds of processor time of each function's `import app`, as on Lambda: it traces, and nothing is written."""
    environment = {
        **source()["Globals"]["Function"]["Environment"]["Variables"],
        "AWS_REGION": "eu-west-1",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
        "LAMBDA_TASK_ROOT": "/var/task",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    told = {name: value for name, value in environment.items() if isinstance(value, str)}
    with tempfile.TemporaryDirectory() as own:
        beside = [str(build / LAYERS[0] / "python"), str(sdk(Path(own)))]
        rounds = [
            {name: _processor_time(told, str(build / name), *beside) for name in functions(build)}
            for _ in range(ROUNDS)
        ]
        return {name: min(one[name] for one in rounds) for name in rounds[0]}


def starts(build: Path, world: World) -> dict[str, Start]:
    """Every function's first answer: interpreter, imports, clients, connections, and what the event asks for."""
    found: dict[str, Start] = {}
    running: dict[str, Emulated] = {}
    with tempfile.TemporaryDirectory() as own, ExitStack() as stack:
        beside = [build / LAYERS[0] / "python", runtime(Path(own))]

        def invoke(name: str, event: dict[str, Any]) -> dict[str, Any]:
            if name in running:
                return running[name].invoke(event)
            environment = world.environment(name, str(build / LAYERS[1] / "datasets"))
            limits = world.memory(name), world.timeout(name)
            running[name] = stack.enter_context(emulated([build / name, *beside], environment, *limits))
            times = [time.perf_counter()]
            for _ in range(2):  # Whatever a function is asked, it may be asked again.
                answer = running[name].invoke(event)
                times.append(time.perf_counter())
            found[name] = Start(times[1] - times[0], times[2] - times[1])
            return answer

        if wrong := play(world, invoke):
            raise SystemExit(f"functions answer wrongly, so their times say nothing: {wrong}")
    return found


def _processor_time(environment: Mapping[str, str], *paths: str) -> float:
    # -S: no .pth files; and no -I, which would not let PYTHONDONTWRITEBYTECODE through.
    done = subprocess.run(
        [sys.executable, "-S", "-c", _IMPORT, *paths],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)
