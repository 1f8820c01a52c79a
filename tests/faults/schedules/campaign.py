"""Many schedules, each a function of its seed: faults at first, then healing, then the oracle.

python -m tests.faults.schedules.campaign 10000
python -m tests.faults.schedules.campaign --seed 4711        one again, shrunk and told step by step
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.faults.schedules.choices import Choices, shrunk
from tests.faults.schedules.kickoffs import check_kickoffs
from tests.faults.schedules.oracle import check
from tests.faults.schedules.warehouses import Bench
from tests.faults.schedules.world import OUTAGES, ViolationError, World, without_threads

from penstock.ports import RunStatus


@dataclass(frozen=True, slots=True)
class Failure:
    what: str
    choices: list[int]
    trace: list[str]

    def __str__(self) -> str:
        return "\n".join([self.what, "choices = " + repr(self.choices), *self.trace])


def outcome_of(bench: Bench, choices: Choices, *, tracing: bool = False) -> tuple[Failure | None, int]:
    """Works one schedule: what did not hold, or None; and how many faults happened in it."""
    world = World(choices, bench, tracing=tracing)
    try:
        with without_threads():
            befall(world)
            world.heal()
        check(world)
        check_kickoffs(world)
    except ViolationError as violation:
        return Failure(str(violation), choices.made, world.scheduler.trace or []), world.happened
    return None, world.happened


def failure_of(bench: Bench, choices: Choices, *, tracing: bool = False) -> Failure | None:
    return outcome_of(bench, choices, tracing=tracing)[0]


def failure_of_seed(bench: Bench, seed: int) -> Failure | None:
    """As `failure_of`; a failure is shrunk and told step by step."""
    found = failure_of(bench, Choices(seed))
    if found is None:
        return None

    def fails(choices: Sequence[int]) -> bool:
        return failure_of(bench, Choices(replay=choices)) is not None

    return failure_of(bench, Choices(replay=shrunk(found.choices, fails)), tracing=True) or found


def befall(world: World) -> None:
    """The part with the faults: producers put, listings overlap, runs are worked, and things go wrong."""
    draw = world.choices.draw
    world.seam.faults = (3, 0, 1, 2, 5, 8)[draw(6)]
    world.seam.harmless = (0.97, 0.9, 0.99)[draw(3)]
    puts = 6
    for _ in range(60 * (1 + draw(5))):
        busy = bool(world.scheduler.ready())
        happening = draw(10, harmless=0.95) if busy else 1 + draw(9)
        if happening in (1, 2, 3) and puts:
            puts -= 1
            key, content = world.producers.next()
            world.put(key, content, ((0.0,), (), (0.1, 0.1), (90.0, 0.0))[draw(4, harmless=0.6)])
        elif happening == 4:
            world.listing()
        elif happening == 5 and world.running:
            plan = sorted(world.running)[draw(len(world.running))]
            world.abort(plan, (RunStatus.ABORTED, RunStatus.TIMED_OUT)[draw(2)])
        elif happening == 6 and world.seam.faults:
            world.seam.faults -= 1
            world.outages += 1
            destination = ("warehouse", "search", "leases")[draw(3)]
            world.seam.down[destination] = world.scheduler.now + OUTAGES[draw(len(OUTAGES))]
            world.scheduler.note(f"OUTAGE of {destination} until {world.seam.down[destination]}")
        elif happening == 7:
            world.scheduler.now += 61
            world.listing()
        elif happening >= 8 or not world.turn():
            world.scheduler.skip()


@dataclass(slots=True)
class Tally:
    """What a campaign has done."""

    schedules: int = 0
    faults: int = 0
    seconds: float = 0.0
    failures: list[tuple[int, Failure]] = field(default_factory=list)

    def __str__(self) -> str:
        rate = self.schedules / self.seconds if self.seconds else 0.0
        failed = f"; FAILED: seeds {[seed for seed, _ in self.failures]}" if self.failures else "; all invariants held"
        return (
            f"{self.schedules:,} schedules with {self.faults:,} faults in {self.seconds:.0f} s ({rate:.0f}/s){failed}"
        )


def campaign(bench: Bench, first: int, schedules: int, at_most: float = math.inf) -> Tally:
    """Schedules of the seeds from `first` on, until one fails or `at_most` seconds are over."""
    tally = Tally()
    begun = time.monotonic()
    for seed in range(first, first + schedules):
        failure, faults = outcome_of(bench, Choices(seed))
        tally.schedules += 1
        tally.faults += faults
        tally.seconds = time.monotonic() - begun
        if failure is not None:
            tally.failures.append((seed, failure_of_seed(bench, seed) or failure))
            break
        if tally.seconds > at_most:
            break
    return tally
