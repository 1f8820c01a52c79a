"""What is known of a stack on this laptop: `.penstock/<stack>/state.json`.

The supervisor writes which engines run where; the deployment adds parameters and outputs. Each takes a lock, reads,
changes and replaces the file, so a reader never sees half of it.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from penstock.local.children import Process

HOME = ".penstock"


@dataclass(frozen=True, slots=True)
class EngineState:
    process: Process
    port: int
    log: str


@dataclass(frozen=True, slots=True)
class StackState:
    """`status` is starting, running or failed, as the supervisor last wrote it; `reason` says why it failed."""

    name: str
    status: str = "starting"
    reason: str = ""
    supervisor: Process | None = None
    engines: dict[str, EngineState] = field(default_factory=dict)
    temporary: bool = False
    auth: bool = True
    template: str = ""
    datasets: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        return self.supervisor is not None and self.supervisor.alive()

    @classmethod
    def read(cls, folder: Path) -> StackState:
        """Raises FileNotFoundError where there is no such stack."""
        raw: dict[str, Any] = json.loads((folder / "state.json").read_text())
        if raw["supervisor"] is not None:
            raw["supervisor"] = Process(**raw["supervisor"])
        raw["engines"] = {
            name: EngineState(Process(**engine["process"]), engine["port"], engine["log"])
            for name, engine in raw["engines"].items()
        }
        return cls(**raw)

    def write(self, folder: Path) -> None:
        whole = folder / f"state.json.{os.getpid()}"
        whole.write_text(json.dumps(asdict(self), indent=2))
        whole.replace(folder / "state.json")


def change(folder: Path, **changes: Any) -> StackState:
    """Replaces the named fields of the stack's state."""
    with (folder / "state.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        changed = replace(StackState.read(folder), **changes)
        changed.write(folder)
    return changed


def find_home(start: Path | None = None) -> Path:
    """PENSTOCK_HOME; else the nearest `.penstock` from the current folder upward; else one in the current folder."""
    if given := os.environ.get("PENSTOCK_HOME"):
        return Path(given).absolute()
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / HOME).is_dir():
            return folder / HOME
    return here / HOME
