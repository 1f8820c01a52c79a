"""Retrying files in `failed/` where they lie: same identity, rows once, history kept; killed anywhere it can go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.crashing import Crash, Crashing
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.runs import FakeRuns
from tests.fakes.search_index import FakeSearchIndex
from tests.fakes.warehouse import FakeWarehouse

from penstock.flows.decide_batch import Destinations
from penstock.flows.index_batch import index_batch
from penstock.flows.list_incoming import LEASE, Limits, list_incoming
from penstock.flows.load_batch import begin_load
from penstock.flows.plan_of import read_plan
from penstock.flows.retry_failed import Retry, Retrying, Wanted
from penstock.flows.set_aside import write_reason
from penstock.flows.settle_batch import settle_batch
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.errors import WAREHOUSE, DestinationDownError, PermanentError, TransientError
from penstock.model.outcomes import Verdict
from penstock.model.plans import Batch
from penstock.ports import RunStatus

DONE = {"status": "done"}
DOWN = {"status": "failed", "error": "TransientError", "cause": "it was asleep"}
HALF_BAD = b"id,name\n1,one\nx,two\n"
GOOD = b"id,name\n1,one\n2,two\n"
ALL = Wanted()


def dataset(name: str = "things", **changes: Any) -> Dataset:
    columns = [{"name": "id", "type": "integer", "required": True}, {"name": "name", "type": "text"}]
    return Dataset.model_validate(
        {
            "name": name,
            "prefix": f"{name}/",
            "format": "csv",
            "columns": columns,
            "table": name,
            "index": name,
            **changes,
        }
    )


@dataclass
class World:
    datasets: dict[str, Dataset] = field(default_factory=lambda: {"things": dataset()})
    store: FakeObjectStore = field(default_factory=FakeObjectStore)
    leases: FakeLeases = field(default_factory=FakeLeases)
    runs: FakeRuns = field(default_factory=FakeRuns)
    warehouse: FakeWarehouse = field(default_factory=FakeWarehouse)
    search: FakeSearchIndex = field(default_factory=FakeSearchIndex)
    clock: FakeClock = field(default_factory=FakeClock)
    limits: Limits = field(default_factory=lambda: Limits(100, 10**9, timedelta(hours=1)))

    def put(self, name: str, content: bytes) -> Arrival:
        return self.store.put(f"incoming/things/{name}", content)

    def look(self) -> None:
        self.clock.advance(timedelta(seconds=1))
        list_incoming(
            self.store, self.leases, self.runs, self.clock, self.datasets, self.limits, f"listing {self.clock.now()}"
        )

    def retrying(self, **ports: Any) -> Retrying:
        given = {"store": self.store, "leases": self.leases, "runs": self.runs, **ports}
        return Retrying(**given, clock=self.clock, datasets=self.datasets, limits=self.limits)

    def retry(self, wanted: Wanted = ALL, **ports: Any) -> Retry:
        self.clock.advance(timedelta(seconds=1))
        return self.retrying(**ports).start(wanted, "operator")

    def work(self, load: Mapping[str, Any] = DONE, index: Mapping[str, Any] = DONE, **ports: Any) -> None:
        """Every run that goes on, to its end."""
        store = ports.get("store", self.store)
        leases = ports.get("leases", self.leases)
        warehouse = ports.get("warehouse", self.warehouse)
        search = ports.get("search", self.search)
        to = Destinations(warehouse, search)
        for run in self.leases.live_runs():
            if self.runs.status(run.execution) is not RunStatus.RUNNING:
                continue
            for number in range(run.batches):
                if load is DONE:
                    begin_load(store, warehouse, self.datasets, run.id, number)
                if index is DONE:
                    index_batch(run.id, number, store, warehouse, search, self.datasets, self.clock)
                settle_batch(store, leases, to, self.clock, self.datasets, run.id, number, load, index, 3)
            self.runs.finish(run.id)

    def ingest(self) -> None:
        self.look()
        self.work()

    def shown(self, root: str) -> list[str]:
        return list(self.store.keys(root))

    def reason(self, of: Arrival) -> dict[str, Any]:
        [key] = [key for key in self.shown("failed/") if of.id in key and key.endswith(".reason.json")]
        found: dict[str, Any] = self.store.get_json(key)
        return found

    def outcome(self, of: Arrival) -> Any:
        return self.warehouse.outcomes(self.datasets["things"], [of]).get(of.id)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return self.warehouse.rows(self.datasets["things"])

    def tolerate(self) -> None:
        self.datasets["things"] = dataset(max_reject_ratio=0.5)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def failed(world: World) -> Arrival:
    """In `failed/`, since half of its rows are bad."""
    arrival = world.put("2026/a.csv", HALF_BAD)
    world.ingest()
    return arrival


def test_a_file_whose_dataset_was_mended_is_loaded_from_where_it_lies(world: World, failed: Arrival) -> None:
    world.tolerate()

    retry = world.retry()
    world.work()

    [planned] = read_plan(world.store, retry.run).arrivals
    assert (planned.id, planned.key, planned.version_id) == (failed.id, failed.key, failed.version_id)
    assert world.rows == [("1", "one")]
    assert (world.outcome(failed).verdict, world.outcome(failed).rows) == (Verdict.LOADED, 1)
    assert world.store.content(f"processed/things/2026/{failed.id}-a.csv") == HALF_BAD
    assert world.shown("incoming/") == []
    assert [one.key for one in world.store.arrivals("failed/") if one.key.endswith("-a.csv")] == []
    assert [document["penstock_arrival"] for document in world.search.documents["things"].values()] == [failed.id]


def test_its_history_stays(world: World, failed: Arrival) -> None:
    first = world.reason(failed)
    world.retry()
    world.work()
    again = world.reason(failed)
    world.tolerate()
    last = world.retry().run
    world.work()

    assert (first["retry"], first["history"]) == (0, [])
    assert (again["retry"], [one["run"] for one in again["history"]]) == (1, [first["run"]])
    assert world.reason(failed)["settled"] == f"processed/things/2026/{failed.id}-a.csv"
    assert world.reason(failed)["settled_by"] == last
    assert [arrival for arrival, outcome in world.warehouse.history if outcome.reason] == [failed.id, failed.id]


def test_a_reason_that_is_written_twice_by_one_run_has_no_double_history(world: World, failed: Arrival) -> None:
    [retried] = read_plan(world.store, world.retry().run).arrivals

    for _ in range(2):
        write_reason(world.store, retried, "things", "things/", "the run", "bad again")

    assert [one["reason"] for one in world.reason(failed)["history"]] == [world.outcome(failed).reason]


def test_rejects_that_hold_no_more_are_emptied_and_those_that_do_stay(world: World) -> None:
    mended, tolerated = world.put("mended.csv", b"id,name\n1,one\n,two\n"), world.put("tolerated.csv", HALF_BAD)
    world.ingest()
    columns = [{"name": "id", "type": "integer"}, {"name": "name", "type": "text"}]
    world.datasets["things"] = dataset(columns=columns, max_reject_ratio=0.5)

    world.retry()
    world.work()

    assert world.store.content(f"failed/things/{mended.id}-mended.csv.rejects.jsonl") == b""
    assert b'"line":3' in world.store.content(f"failed/things/{tolerated.id}-tolerated.csv.rejects.jsonl")


def test_one_that_fails_again_stays_with_its_new_reason(world: World, failed: Arrival) -> None:
    columns = [{"name": "number", "type": "integer"}, {"name": "name", "type": "text"}]
    world.datasets["things"] = dataset(columns=columns)

    world.retry()
    world.work()

    assert world.store.content(f"failed/things/2026/{failed.id}-a.csv") == HALF_BAD
    assert "header" in world.reason(failed)["reason"]
    assert world.outcome(failed).verdict is Verdict.QUARANTINED
    assert world.rows == []


def test_a_file_that_nobody_claimed_goes_to_the_dataset_that_claims_it_now(world: World) -> None:
    stranger = world.store.put("incoming/others/a.csv", GOOD)
    world.ingest()
    before = world.retry()
    world.datasets["others"] = dataset("others")

    world.retry(Wanted(dataset="others"))
    world.work()

    assert before.run == ""
    assert "no dataset claims" in before.passed_over[f"failed/_unclaimed/others/{stranger.id}-a.csv"]
    assert len(world.warehouse.rows(world.datasets["others"])) == 2
    assert world.shown("processed/") == [f"processed/others/{stranger.id}-a.csv"]
    assert world.reason(stranger)["settled"] == f"processed/others/{stranger.id}-a.csv"


def test_one_that_is_claimed_and_fails_moves_to_its_dataset_s_folder(world: World) -> None:
    stranger = world.store.put("incoming/others/a.csv", HALF_BAD)
    world.ingest()
    world.datasets["others"] = dataset("others")

    world.retry()
    world.work()

    files = [key for key in world.shown("failed/") if key.endswith("-a.csv")]
    assert files == [f"failed/others/{stranger.id}-a.csv"]
    new = world.store.get_json(f"failed/others/{stranger.id}-a.csv.reason.json")
    assert [one["dataset"] for one in new["history"]] == ["_unclaimed"]


@pytest.mark.parametrize("name", ["failed", "incoming", "id"])
def test_a_file_is_named_as_it_lies_as_it_came_or_by_its_arrival(world: World, failed: Arrival, name: str) -> None:
    other = world.put("b.csv", HALF_BAD)
    world.ingest()
    names = {"failed": f"failed/things/2026/{failed.id}-a.csv", "incoming": failed.key, "id": failed.id}

    retry = world.retrying().preview(Wanted((names[name],)))

    assert [one.arrival.id for one in retry.files] == [failed.id]
    assert other.id != failed.id


def test_a_name_of_no_failed_file_is_refused(world: World, failed: Arrival) -> None:
    with pytest.raises(PermanentError, match=r"incoming/things/none\.csv"):
        world.retrying().preview(Wanted((failed.key, "incoming/things/none.csv")))


def test_a_preview_writes_nothing(world: World, failed: Arrival) -> None:
    before = world.store.everything()

    retry = world.retrying().preview(ALL)

    assert [one.arrival.id for one in retry.files] == [failed.id]
    assert world.store.everything() == before
    assert [run for run in world.leases.live_runs() if world.runs.status(run.execution) is RunStatus.RUNNING] == []


def test_files_named_like_what_lies_beside_failed_ones_are_files(world: World) -> None:
    odd = [world.put("a.csv.reason.json", HALF_BAD), world.put("b.rejects.jsonl", HALF_BAD)]
    world.ingest()

    retry = world.retrying().preview(ALL)

    assert {one.arrival.id for one in retry.files} == {one.id for one in odd}


def test_a_file_whose_reason_was_deleted_is_passed_over(world: World, failed: Arrival) -> None:
    world.store.delete(f"failed/things/2026/{failed.id}-a.csv.reason.json")

    retry = world.retry()

    assert list(retry.passed_over) == [f"failed/things/2026/{failed.id}-a.csv"]
    assert retry.run == ""


# ── beside the lister, and beside itself ────────────────────────────────────────────────────────────────────────────


def test_a_retry_waits_for_a_listing_and_tells_it_to_list_again(world: World, failed: Arrival) -> None:
    held = world.leases.acquire_listing("the lister", world.clock.now(), LEASE)

    with pytest.raises(TransientError, match="listing"):
        world.retry()

    assert held
    assert world.leases.release_listing(held)


def test_a_second_retry_leaves_to_the_first_what_it_works(world: World, failed: Arrival) -> None:
    world.tolerate()
    first, second = world.retry(), world.retry()
    world.work()

    assert first.run
    assert second.run == ""
    assert "at work" in next(iter(second.passed_over.values()))
    assert len(world.rows) == 1


def test_a_version_that_arrives_meanwhile_waits_until_the_retry_has_ended(world: World, failed: Arrival) -> None:
    world.datasets["things"] = dataset(max_reject_ratio=0.5, on_overwrite="replace")
    world.retry()
    world.put("2026/a.csv", GOOD)

    world.look()
    during = len(world.runs.started)
    world.work()
    world.ingest()

    assert during == 2  # The first ingest and the retry.
    assert world.rows == [("1", "one"), ("2", "two")]


def test_a_file_is_passed_over_while_a_version_of_its_key_is_at_work(world: World, failed: Arrival) -> None:
    world.tolerate()
    world.put("2026/a.csv", GOOD)
    world.look()

    assert "at work" in next(iter(world.retry().passed_over.values()))


def test_an_older_version_does_not_take_the_place_of_a_later_one(world: World, failed: Arrival) -> None:
    world.datasets["things"] = dataset(max_reject_ratio=0.5, on_overwrite="replace")
    world.put("2026/a.csv", GOOD)
    world.ingest()

    world.retry()
    world.work()

    assert world.rows == [("1", "one"), ("2", "two")]
    assert "later version" in world.reason(failed)["reason"]


def test_versions_of_one_key_take_turns(world: World) -> None:
    first, second = [world.put("a.csv", HALF_BAD + b"%d,\n" % number) for number in range(2)]
    for _ in range(2):
        world.ingest()

    turns = []
    for _ in range(2):
        retry = world.retry()
        turns += [one.arrival.id for one in retry.files]
        assert len(retry.passed_over) == 1
        world.work()

    assert turns == [first.id, second.id]


def test_the_limits_hold_for_a_retry_too(world: World) -> None:
    for number in range(3):
        world.put(f"{number}.csv", HALF_BAD)
    world.ingest()
    world.limits = Limits(2, 10**9, timedelta(hours=1))

    retry = world.retry()

    assert (len(retry.files), len(retry.passed_over)) == (2, 1)


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_destination_that_is_down_leaves_the_file_in_failed_and_the_ledger_says_so(
    world: World, failed: Arrival
) -> None:
    world.tolerate()
    world.retry()

    world.work(load=DOWN, index=DOWN)

    assert "asleep" in world.reason(failed)["reason"]
    assert "asleep" in world.outcome(failed).reason
    assert world.leases.waiting() == {}

    world.retry()
    world.work()

    assert len(world.rows) == 1


def test_a_retry_that_met_a_closed_door_changes_nothing_but_the_reason(world: World, failed: Arrival) -> None:
    rejects = world.store.content(f"failed/things/2026/{failed.id}-a.csv.rejects.jsonl")
    world.tolerate()
    world.retry()

    world.warehouse.fails = DestinationDownError(WAREHOUSE, "it is asleep")
    world.work(load=DOWN, index=DOWN)
    world.warehouse.fails = None

    assert world.reason(failed)["reason"].startswith("Not tried: the warehouse is down: it is asleep")
    assert world.store.content(f"failed/things/2026/{failed.id}-a.csv.rejects.jsonl") == rejects != b""
    assert "1 of 2 rows" in world.outcome(failed).reason


def test_a_load_that_was_given_up_on_and_commits_late_changes_nothing(world: World, failed: Arrival) -> None:
    world.tolerate()
    run = world.retry().run
    batch = read_plan(world.store, run).batches[0]
    world.work(load=DOWN, index=DOWN)

    world.warehouse.begin(Batch(0, "things", batch.arrivals), world.datasets["things"], world.store)

    assert world.rows == []
    assert world.outcome(failed).verdict is Verdict.QUARANTINED


def test_loaded_rows_whose_documents_never_came_are_not_loaded_twice(world: World) -> None:
    arrival = world.put("a.csv", GOOD)
    for _ in range(3):
        world.look()
        world.work(index=DOWN)
        world.clock.advance(timedelta(hours=1))
    before = world.reason(arrival)["reason"]

    world.retry()
    world.work()

    assert "rows are loaded" in before
    assert len(world.rows) == 2
    assert world.search.count("things") == 2
    assert world.shown("processed/") == [f"processed/things/{arrival.id}-a.csv"]


def _at_rest(world: World, arrival: Arrival) -> dict[str, Any]:
    reason = {name: value for name, value in world.reason(arrival).items() if name not in ("settled_by", "retry")}
    reason["history"] = len(reason["history"])
    return {
        "files": [one.key for one in world.store.arrivals("") if one.key.endswith("-a.csv")],
        "rows": world.rows,
        "documents": sorted(world.search.documents["things"]),
        "verdict": world.outcome(arrival).verdict,
        "settled": reason.get("settled"),
    }


def _prepared() -> tuple[World, Arrival]:
    world = World()
    arrival = world.put("2026/a.csv", HALF_BAD)
    world.ingest()
    world.tolerate()
    return world, arrival


def test_a_retry_that_is_killed_anywhere_is_healed_by_another() -> None:
    undisturbed, arrival = _prepared()
    undisturbed.retry()
    undisturbed.work()
    expected = _at_rest(undisturbed, arrival)

    deaths = 0
    for calls in range(200):
        for after in (False, True):
            world, arrival = _prepared()
            crash = Crashing(calls, after=after)
            ports = {
                name: crash.through(getattr(world, name)) for name in ("store", "leases", "runs", "warehouse", "search")
            }
            try:
                world.retry(store=ports["store"], leases=ports["leases"], runs=ports["runs"])
                world.work(**ports)
            except Crash:
                deaths += 1
                for run in world.leases.live_runs():
                    if run.execution in world.runs.executions:
                        world.runs.finish(run.id, RunStatus.FAILED)
            # The lease of who died runs out, the lister looks after its run; then the operator tries again.
            world.clock.advance(LEASE)
            world.ingest()
            for _ in range(2):
                if any(key.endswith("-a.csv") for key in world.shown("failed/")):
                    world.retry()
                    world.work()
                    world.ingest()
            assert _at_rest(world, arrival) == expected, (calls, after)
        if not crash.died:
            break
    assert deaths > 40
