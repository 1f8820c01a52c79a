"""From listing to settling on a virtual clock, run after run: outages cost nobody an attempt, poison ends alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.runs import FakeRuns
from tests.fakes.search_index import FakeSearchIndex
from tests.fakes.warehouse import FakeWarehouse

from penstock.flows.decide_batch import Destinations
from penstock.flows.index_batch import index_batch
from penstock.flows.list_incoming import Limits, Listing, list_incoming
from penstock.flows.load_batch import begin_load
from penstock.flows.plan_of import read_plan
from penstock.flows.settle_batch import settle_batch
from penstock.model.arrivals import Arrival
from penstock.model.breakers import tripped
from penstock.model.datasets import Dataset
from penstock.model.errors import DestinationDownError, TransientError
from penstock.ports import Attempt, Move, RunStatus

MOST = 5
GOOD = b"id\n1\n"
MINUTE = timedelta(minutes=1)


class WorkerDiedError(Exception):
    """What a worker that was killed leaves: nothing but that it is gone."""


def dataset(name: str, **changes: Any) -> Dataset:
    columns = [{"name": "id", "type": "integer"}]
    given = {"name": name, "prefix": f"{name}/", "format": "csv", "columns": columns, "batch": {"max_files": 50}}
    return Dataset.model_validate({**given, "table": name, **changes})


class Deadly:
    """A store: who writes a key that ends so is killed, as one whose memory or time ends just there."""

    def __init__(self, store: FakeObjectStore, ending: str) -> None:
        self._store = store
        self._ending = ending

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put_lines(self, key: str, lines: Any) -> None:
        self._look(key)
        self._store.put_lines(key, lines)

    def move(self, moves: Sequence[Move]) -> Any:
        for move in moves:
            self._look(move.to)
        return self._store.move(moves)

    def _look(self, key: str) -> None:
        if key.endswith(self._ending):
            raise WorkerDiedError


@dataclass
class World:
    """`kills` says of which arrival a worker dies. Each run is worked at once, as its state machine would."""

    datasets: dict[str, Dataset] = field(default_factory=lambda: {"flights": dataset("flights")})
    store: FakeObjectStore = field(default_factory=FakeObjectStore)
    leases: FakeLeases = field(default_factory=FakeLeases)
    runs: FakeRuns = field(default_factory=FakeRuns)
    warehouse: FakeWarehouse = field(default_factory=FakeWarehouse)
    search: FakeSearchIndex = field(default_factory=FakeSearchIndex)
    clock: FakeClock = field(default_factory=FakeClock)
    kills: Callable[[Arrival], bool] = lambda _: False
    kills_settling: str = "nothing"
    """What a key ends in that settling dies of when it writes it."""
    planned: list[tuple[datetime, int]] = field(default_factory=list)
    """When each run was planned, and its files."""

    def put(self, key: str, content: bytes = GOOD) -> Arrival:
        return self.store.put(f"incoming/{key}", content)

    def look(self) -> Listing:
        limits = Limits(1000, 10**9, timedelta(hours=1))
        return list_incoming(self.store, self.leases, self.runs, self.clock, self.datasets, limits, "listing")

    def tick(self) -> None:
        """A listing, and all that it leads to: each run that ends asks for another listing."""
        for _ in range(20):
            listing = self.look()
            for plan in listing.plans:
                self.runs.finish(plan, self._run(plan))
            if not listing.plans:
                return
        raise AssertionError("one run starts the next, without an end")

    def pass_time(self, minutes: int) -> None:
        for _ in range(minutes):
            self.tick()
            self.clock.advance(MINUTE)

    def _run(self, plan: str) -> RunStatus:
        status = RunStatus.SUCCEEDED
        batches = read_plan(self.store, plan).batches
        self.planned.append((self.clock.now(), sum(len(batch.arrivals) for batch in batches)))
        for batch in batches:
            crashes = any(self.kills(arrival) for arrival in batch.arrivals)

            def load(number: int = batch.number, crashes: bool = crashes) -> object:
                if crashes:
                    raise WorkerDiedError
                return begin_load(self.store, self.warehouse, self.datasets, plan, number)

            def index(number: int = batch.number) -> object:
                return index_batch(
                    plan, number, self.store, self.warehouse, self.search, self.datasets, self.clock, load_ended=True
                )

            outcomes = _outcome(load), _outcome(index)
            to = Destinations(self.warehouse, self.search)
            store = Deadly(self.store, self.kills_settling)
            given = (store, self.leases, to, self.clock, self.datasets, plan, batch.number, *outcomes, MOST)
            try:
                settle_batch(*given)
            except WorkerDiedError:
                status = RunStatus.FAILED
        return status

    @property
    def left(self) -> list[str]:
        return [arrival.key for arrival in self.store.arrivals("incoming/")]


def _outcome(branch: Callable[[], object]) -> dict[str, str]:
    try:
        branch()
    except WorkerDiedError:
        return {"status": "failed", "error": "Runtime.ExitError", "cause": "signal: killed"}
    except TransientError as error:
        return {"status": "failed", "error": "TransientError", "cause": str(error)}
    return {"status": "done"}


@pytest.fixture
def world() -> World:
    return World()


def test_one_file_that_kills_its_workers_is_quarantined_alone_and_its_neighbours_are_loaded(world: World) -> None:
    for number in range(50):
        world.put(f"flights/{number:02}.csv")
    world.kills = lambda arrival: arrival.key.endswith("/17.csv")

    world.pass_time(30)

    assert world.left == []
    assert len(world.warehouse.rows(world.datasets["flights"])) == 49
    (failed,) = [key for key in world.store.keys("failed/") if key.endswith(".csv")]
    reason = world.store.get_json(f"{failed}.reason.json")["reason"]
    assert f"It crashed its worker {MOST} times, at last alone in its batch" in reason
    assert world.leases.waiting() == {}
    # Twice together, then each alone in one run; from there on only the one.
    assert [files for _, files in world.planned] == [50, 50, 50, 1, 1]


@pytest.mark.parametrize(
    ("ratio", "reason"),
    [(0.9, "Its rows are loaded, its documents are not complete: "), (0.0, "1 of 2 rows were rejected (")],
)
def test_one_file_that_kills_its_settling_is_settled_with_less_and_its_neighbours_as_ever(
    world: World, ratio: float, reason: str
) -> None:
    world.datasets = {"flights": dataset("flights", index="flights", max_reject_ratio=ratio)}
    for number in range(50):
        world.put(f"flights/{number:02}.csv", b"id\n1\nx\n" if number == 17 else GOOD)
    world.kills_settling = "17.csv.rejects.jsonl"

    world.pass_time(60)

    failed = [key for key in world.store.keys("failed/") if key.endswith(".csv")]
    assert len(failed) == 1
    told = world.store.get_json(f"{failed[0]}.reason.json")["reason"]
    assert told.startswith(reason)
    assert "runs in a row that had only to settle it have ended before they did" in told
    assert world.left == []
    assert world.leases.waiting() == {}
    assert len(list(world.store.keys("processed/"))) == 49
    assert [files for _, files in world.planned] == [50, 50, 50, 1, 1]


def test_one_file_that_kills_even_the_least_settling_is_never_settled_and_never_silent(world: World) -> None:
    for number in range(10):
        world.put(f"flights/{number:02}.csv")
    world.kills_settling = "07.csv"

    world.pass_time(6 * 60)

    (waiting,) = world.leases.waiting().values()
    assert world.left == ["incoming/flights/07.csv"]
    assert waiting.attempts > MOST
    assert "had not settled incoming/flights/07.csv" in waiting.reason
    assert world.look().not_settled == 1
    assert len(world.planned) < 14, "an hour between"


def test_a_file_that_was_half_moved_when_its_settling_died_goes_on_to_where_it_was_going(world: World) -> None:
    arrival = world.put("flights/a.csv")
    attempt = Attempt(arrival.id, MOST - 1, world.clock.now(), "died", "earlier", unsettled=3)
    world.leases.put_back([attempt])
    world.store._add(f"processed/flights/{arrival.id}-a.csv", GOOD, None)

    world.tick()

    assert list(world.store.keys("failed/")) == []
    assert world.left == []


def test_a_file_whose_runs_were_stopped_is_settled_as_ever_when_one_is_not(world: World) -> None:
    world.datasets = {"flights": dataset("flights", max_reject_ratio=0.9)}
    arrival = world.put("flights/a.csv", b"id\n1\nx\n")
    attempt = Attempt(arrival.id, MOST - 1, world.clock.now(), "stopped", "earlier", unsettled=1)
    world.leases.put_back([attempt])

    world.tick()

    assert [key for key in world.store.keys("failed/") if key.endswith(".rejects.jsonl")]
    assert len(list(world.store.keys("processed/"))) == 1


def test_what_a_settling_that_outlived_its_run_puts_back_late_is_forgotten(world: World) -> None:
    arrival = world.put("flights/a.csv")
    world.tick()
    world.leases.put_back([Attempt(arrival.id, 1, world.clock.now(), "late", "earlier")])

    world.tick()

    assert world.leases.waiting() == {}


@pytest.mark.parametrize("destination", ["warehouse", "search"])
def test_an_outage_of_hours_costs_nobody_an_attempt_and_ends_by_itself(world: World, destination: str) -> None:
    world.datasets = {"flights": dataset("flights", index="flights")}
    for number in range(50):
        world.put(f"flights/{number:02}.csv")
    down: Any = world.warehouse if destination == "warehouse" else world.search
    down.fails = DestinationDownError(destination, "connection refused")

    world.pass_time(4 * 60)
    during = list(world.planned)
    breaker = world.leases.breakers()[destination]
    waiting = world.leases.waiting()
    down.fails = None
    world.pass_time(12)

    assert waiting == {}
    assert during[0][1] == 50
    assert {files for _, files in during[1:]} == {1}, "a probe is one file"
    assert len(during) < 30, "the pauses grow"
    assert breaker.failures == len(during)
    assert "connection refused" in breaker.reason
    assert world.left == []
    assert len(world.warehouse.rows(world.datasets["flights"])) == 50
    assert world.leases.breakers() == {}


def test_a_table_that_is_missing_holds_up_its_own_dataset_alone_and_costs_nobody_an_attempt(world: World) -> None:
    world.datasets = {"flights": dataset("flights"), "planes": dataset("planes")}
    missing = DestinationDownError("warehouse", "relation flights does not exist. Run `penstock apply`", "flights")
    world.warehouse.refused = {"flights": missing}
    for number in range(50):
        world.put(f"flights/{number:02}.csv")
    world.put("planes/a.csv")

    world.pass_time(4 * 60)
    during, waiting, breakers = list(world.planned), world.leases.waiting(), world.leases.breakers()
    world.warehouse.refused = {}
    world.pass_time(12)

    assert waiting == {}
    assert breakers.keys() == {"warehouse/flights"}
    assert "penstock apply" in breakers["warehouse/flights"].reason
    assert during[0][1] == 51
    assert {files for _, files in during[1:]} == {1}
    assert len(world.warehouse.rows(world.datasets["planes"])) == 1
    assert len(world.warehouse.rows(world.datasets["flights"])) == 50
    assert world.left == []
    assert world.leases.breakers() == {}


def test_what_goes_to_another_destination_goes_on_while_one_is_down(world: World) -> None:
    world.datasets = {
        "flights": dataset("flights"),
        "weather": dataset("weather", table=None, index="weather"),
        "planes": dataset("planes", index="planes"),
    }
    world.search.fails = DestinationDownError("search", "connection refused")
    for name in ("flights", "weather", "planes"):
        world.put(f"{name}/before.csv")
    world.tick()
    for name in ("flights", "weather", "planes"):
        world.put(f"{name}/after.csv", b"id\n2\n")

    world.tick()

    assert not [key for key in world.left if key.startswith("incoming/flights/")]
    assert len(world.left) == 4
    assert world.leases.breakers().keys() == {"search"}


def test_the_probe_is_the_smallest_file_so_that_a_huge_one_does_not_keep_the_breaker_open(world: World) -> None:
    huge = world.put("flights/huge.csv", b"id\n" + b"1\n" * 1000)
    small = world.put("flights/small.csv")
    world.warehouse.fails = DestinationDownError("warehouse", "the disk is full")
    world.tick()
    world.warehouse.fails = None
    world.clock.advance(MINUTE)

    listing = world.look()

    (plan,) = listing.plans
    assert [arrival.id for arrival in read_plan(world.store, plan).arrivals] == [small.id]
    assert listing.down == {"warehouse"}
    assert world.leases.breakers()["warehouse"].probe == plan
    assert huge.key in world.left


def test_a_run_that_ended_badly_while_a_destination_is_down_counts_no_attempt(world: World) -> None:
    world.put("flights/a.csv")
    (plan,) = world.look().plans
    world.runs.finish(plan, RunStatus.FAILED)
    world.leases.open_breaker(tripped(None, "warehouse", "another", world.clock.now(), "connection refused"))

    listing = world.look()

    assert listing.plans == ()
    assert world.leases.waiting() == {}
