"""The faults, and what a fault to be made is called: shared by the workers, which make it, and the campaign."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Fault(StrEnum):
    KILL_BEFORE = "kill before"
    KILL_AFTER = "kill after"
    FAIL_ONCE = "fail once"
    FAIL_ALWAYS = "fail always"
    """Until the campaign heals it, which is when the runs that met it are over."""
    TWICE = "do twice"
    DELAY = "delay"
    """Past the Task's timeout, so that its step is repeated while it goes on; past the lease, of a listing."""
    LOSE_REPLY = "lose reply"
    STOP = "stop run"
    """Somebody stops the run while the function waits there, and starts another; the function goes on."""
    MEANWHILE = "put and list"
    """While it waits there a file is put below the prefix, and a listing runs."""


HELD = (Fault.STOP, Fault.MEANWHILE)
"""The call is held until the campaign has done something else, and then made."""


@dataclass(frozen=True, order=True)
class Point:
    """Where the code waits on something else: the `nth` time, from 0, that an invocation of `function` makes `call`."""

    function: str
    call: str
    nth: int

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Those that can happen there. A statement of an open transaction and a read of a stream are done once."""
        once = self.call.startswith("postgres") or self.call.endswith("body")
        nothing_to_fail = {Fault.TWICE} if once else set()
        if self.call == "invocation":
            nothing_to_fail = {Fault.FAIL_ONCE, Fault.FAIL_ALWAYS}
        if self.function == "list_incoming":
            nothing_to_fail |= {Fault.STOP}
        return tuple(fault for fault in Fault if fault not in nothing_to_fail)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
