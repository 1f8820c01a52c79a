"""A retry while destinations are down, and one that is killed anywhere: another heals it, and no row is there twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.fakes.crashing import Crash, Crashing
from tests.unit.operating import DOWN, GOOD, Operator

from penstock.flows.listing_lease import LEASE
from penstock.flows.plan_of import read_plan
from penstock.model.arrivals import Arrival
from penstock.model.errors import WAREHOUSE, DestinationDownError
from penstock.model.outcomes import Verdict
from penstock.model.plans import Batch
from penstock.ports import RunStatus


@pytest.fixture
def world() -> Operator:
    return Operator()


def test_a_destination_that_is_down_leaves_the_file_in_failed_and_the_ledger_says_so(world: Operator) -> None:
    failed = world.fail()
    world.tolerate()
    world.retry()

    world.work(load=DOWN, index=DOWN)

    assert "asleep" in world.reason(failed)["reason"]
    assert "asleep" in world.outcome(failed).reason
    assert world.leases.waiting() == {}

    world.retry()
    world.work()

    assert len(world.rows) == 1


def test_a_retry_that_met_a_closed_door_changes_nothing_but_the_reason(world: Operator) -> None:
    failed = world.fail()
    rejects = world.store.content(f"failed/things/2026/{failed.id}-a.csv.rejects.jsonl")
    world.tolerate()
    world.retry()

    world.warehouse.fails = DestinationDownError(WAREHOUSE, "it is asleep")
    world.work(load=DOWN, index=DOWN)
    world.warehouse.fails = None

    assert world.reason(failed)["reason"].startswith("Not tried: the warehouse is down: it is asleep")
    assert world.store.content(f"failed/things/2026/{failed.id}-a.csv.rejects.jsonl") == rejects != b""
    assert "1 of 2 rows" in world.outcome(failed).reason


def test_a_load_that_was_given_up_on_and_commits_late_changes_nothing(world: Operator) -> None:
    failed = world.fail()
    world.tolerate()
    run = world.retry().run
    batch = read_plan(world.store, run).batches[0]
    world.work(load=DOWN, index=DOWN)

    world.warehouse.begin(Batch(0, "things", batch.arrivals), world.datasets["things"], world.store)

    assert world.rows == []
    assert world.outcome(failed).verdict is Verdict.QUARANTINED


def test_loaded_rows_whose_documents_never_came_are_not_loaded_twice(world: Operator) -> None:
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


def _at_rest(world: Operator, arrival: Arrival) -> dict[str, Any]:
    reason = {name: value for name, value in world.reason(arrival).items() if name not in ("settled_by", "retry")}
    reason["history"] = len(reason["history"])
    return {
        "files": [one.key for one in world.store.arrivals("") if one.key.endswith("-a.csv")],
        "rows": world.rows,
        "documents": sorted(world.search.documents["things"]),
        "verdict": world.outcome(arrival).verdict,
        "settled": reason.get("settled"),
    }


def _prepared() -> tuple[Operator, Arrival]:
    world = Operator()
    arrival = world.fail()
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
