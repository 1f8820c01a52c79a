"""A run that ends badly before its kickoffs: it is closed again until they are started, and not for ever."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.crashing import Crash, Crashing
from tests.fakes.pipeline import FakePipeline
from tests.unit.listing import Lister, dataset

from penstock.flows.kick_off import kick_off
from penstock.flows.listing_lease import LEASE
from penstock.flows.plan_of import read_plan
from penstock.flows.start_run import Limits
from penstock.flows.summarise_run import summarise_run
from penstock.model.errors import TransientError
from penstock.model.outcomes import SettledArrival, SettledBatch, Settlement
from penstock.model.plans import closing_id, plan_of_run, settled_batch_key, settling_key
from penstock.ports import Attempt, Move, RunStatus

MINUTE = timedelta(minutes=1)


DATASETS = {"flights": dataset("flights", kick_off={"state_machine": "after"}), "weather": dataset("weather")}


@dataclass
class Failing(FakePipeline):
    """What is to be kicked off can't be, until a time."""

    clock: FakeClock
    until: datetime
    started: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def start(self, run: str, dataset: str, parameters: Mapping[str, str]) -> str:
        if self.clock.now() < self.until:
            raise TransientError("throttled")
        return super().start(run, dataset, parameters)


class Closing(Lister):
    """Each run is summed up, and kicks off what can be kicked off."""

    def __init__(self, down: timedelta = timedelta(0), closings: int = 5) -> None:
        super().__init__(DATASETS, Limits(100, 10**9, timedelta(hours=6), closings))
        self.pipeline = Failing(self.clock, self.clock.now() + down)
        self.told: list[str] = []

    def settled(self, name: str = "flights", rows: int = 3, key: Callable[[str, int], str] = settled_batch_key) -> str:
        """A run that has settled its one file and is about to be summed up."""
        arrival = self.store.put(f"incoming/{name}/a", b"1")
        (run,) = self.look().plans
        self.store.move([Move(arrival, f"processed/{name}/a")])
        to = f"processed/{name}/a"
        one = SettledArrival(arrival.id, arrival.key, Settlement.PROCESSED, rows=rows, settled_key=to)
        batch = SettledBatch(run, 0, name, (one,)).to_json()
        self.store.put_json(key(run, 0), {"batch": batch} if key is settling_key else batch)
        return run

    def close(self, run: str) -> None:
        """The end of a run, as the state machine has it."""
        plan, _ = plan_of_run(run)
        try:
            summary = summarise_run(self.store, DATASETS, plan, run)
            self.told.append(summary["message"])
            for wanted in summary["kick_offs"]:
                kick_off(self.leases, lambda _: self.pipeline, DATASETS, wanted["plan"], wanted["dataset"])
        except TransientError:
            self.runs.finish(run, RunStatus.FAILED)
        else:
            self.runs.finish(run, RunStatus.SUCCEEDED if summary["ok"] else RunStatus.FAILED)

    def pass_by(self, lasting: timedelta) -> list[tuple[str, datetime]]:
        """A listing each minute; what was started, and when."""
        begun = []
        end = self.clock.now() + lasting
        while self.clock.now() < end:
            self.look()
            for run in self.leases.live_runs():
                if self.runs.status(run.execution) is RunStatus.RUNNING:
                    begun.append((run.id, self.clock.now()))
                    self.close(run.id)
            self.clock.advance(MINUTE)
        return begun


def test_a_kickoff_that_fails_for_an_hour_is_started_once_when_it_heals() -> None:
    world = Closing(down=timedelta(hours=1))
    run = world.settled()

    begun = world.pass_by(timedelta(hours=4))

    assert [(of, name) for of, name, _ in world.pipeline.started] == [(run, "flights")]
    assert [name for name, _ in begun] == [run, *(closing_id(run, number) for number in range(1, 6))][: len(begun)]
    waits = [(later - before) // MINUTE for (_, before), (_, later) in pairwise(begun)]
    assert waits == [2, 3, 9, 33, 61]
    assert world.leases.live_runs() == []
    assert world.told[-1].startswith(f"This is {begun[-1][0]}: run {run} ended badly, and is closed again")


def test_one_that_never_heals_ends_after_as_many_closings_as_attempts_and_is_seen_to_have_failed() -> None:
    world = Closing(down=timedelta(days=100), closings=3)
    run = world.settled()

    begun = world.pass_by(timedelta(hours=6))

    assert [name for name, _ in begun] == [run, *(closing_id(run, number) for number in (1, 2, 3))]
    assert {one.status for one in world.leases.runs(10)} == {RunStatus.FAILED}
    assert world.leases.live_runs() == []


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.ABORTED, RunStatus.TIMED_OUT])
@pytest.mark.parametrize("key", [settled_batch_key, settling_key])
def test_however_it_ended_and_whether_its_settling_was_ended_or_not(
    status: RunStatus, key: Callable[[str, int], str]
) -> None:
    world = Closing()
    run = world.settled(key=key)
    world.runs.finish(run, status)

    world.pass_by(timedelta(minutes=10))

    assert [of for of, _, _ in world.pipeline.started] == [run]
    assert len(world.runs.started) == 2


@pytest.mark.parametrize(("name", "rows"), [("weather", 3), ("flights", 0)])
def test_a_run_that_owes_no_kickoff_is_not_closed_again(name: str, rows: int) -> None:
    world = Closing()
    run = world.settled(name, rows)
    world.runs.finish(run, RunStatus.FAILED)

    world.pass_by(timedelta(minutes=10))

    assert world.runs.started == [(run, 1)]


def test_a_run_that_failed_after_its_kickoffs_is_not_closed_again() -> None:
    world = Closing()
    run = world.settled()
    world.close(run)
    world.runs.finish(run, RunStatus.FAILED)

    world.pass_by(timedelta(minutes=10))

    assert world.runs.started == [(run, 1)]
    assert len(world.pipeline.started) == 1


def test_what_a_function_moves_after_its_run_was_aborted_is_kicked_off_when_no_function_can_go_on() -> None:
    world = Closing()
    arrival = world.store.put("incoming/flights/a", b"1")
    (run,) = world.look().plans
    world.leases.put_back([Attempt(arrival.id, 2, world.clock.now() + MINUTE, "put back", "earlier")])
    world.runs.finish(run, RunStatus.ABORTED)
    aborted = world.clock.now()
    assert world.look().plans == ()
    world.store.move([Move(arrival, "processed/flights/a")])
    one = SettledArrival(arrival.id, arrival.key, Settlement.PROCESSED, rows=3, settled_key="processed/flights/a")
    world.store.put_json(settled_batch_key(run, 0), SettledBatch(run, 0, "flights", (one,)).to_json())

    begun = world.pass_by(timedelta(minutes=30))

    assert [of for of, _, _ in world.pipeline.started] == [run]
    assert begun == [(closing_id(run, 0), aborted + timedelta(minutes=16))]
    assert world.leases.live_runs() == []


def test_one_that_was_closed_at_once_is_closed_again_for_what_was_moved_later() -> None:
    world = Closing(down=timedelta(minutes=17))
    run = world.settled(key=settling_key)
    world.runs.finish(run, RunStatus.ABORTED)

    begun = world.pass_by(timedelta(hours=2))

    assert [of for of, _, _ in world.pipeline.started] == [run]
    assert closing_id(run, 0) in [name for name, _ in begun]
    assert world.leases.live_runs() == []


def test_a_late_closing_that_is_not_needed_starts_nothing() -> None:
    world = Closing()
    arrival = world.store.put("incoming/flights/a", b"1")
    (run,) = world.look().plans
    world.runs.finish(run, RunStatus.ABORTED)
    (again,) = world.look().plans
    world.store.move([Move(arrival, "processed/flights/a")])
    one = SettledArrival(arrival.id, arrival.key, Settlement.PROCESSED, rows=3, settled_key="processed/flights/a")
    world.store.put_json(settled_batch_key(again, 0), SettledBatch(again, 0, "flights", (one,)).to_json())
    world.close(again)

    world.pass_by(timedelta(minutes=30))

    assert [of for of, _, _ in world.pipeline.started] == [again]
    assert [name for name, _ in world.runs.started] == [run, again]
    assert world.leases.live_runs() == []
    ended = {one.id: one.status for one in world.leases.runs(10)}
    assert ended[closing_id(run, 0)] is RunStatus.SUCCEEDED


def test_a_closing_leases_nothing_and_takes_no_room() -> None:
    world = Closing(down=timedelta(hours=1))
    world.settled()
    world.pass_by(timedelta(minutes=4))
    (closing,) = world.leases.live_runs()
    world.limits = Limits(1, 1, timedelta(hours=6))
    late = world.store.put("incoming/flights/a", b"12345")

    (plan,) = world.look().plans

    assert closing.files == 0
    assert [one.id for one in read_plan(world.store, plan).arrivals] == [late.id]


def test_a_listing_that_is_killed_anywhere_loses_no_kickoff() -> None:
    died = 0
    for calls in range(100):
        for after in (False, True):
            world = Closing()
            run = world.settled()
            world.runs.finish(run, RunStatus.FAILED)
            crash = Crashing(calls, after=after)
            ports = {name: crash.through(getattr(world, name)) for name in ("store", "leases", "runs")}
            try:
                world.look("dies", **ports)
            except Crash:
                died += 1
            world.clock.advance(LEASE)

            begun = world.pass_by(timedelta(minutes=10))

            assert [of for of, _, _ in world.pipeline.started] == [run]
            assert [name for name, _ in begun] == [closing_id(run, 1)]
            assert world.leases.live_runs() == []
        if not crash.died:
            break
    assert died > 10
