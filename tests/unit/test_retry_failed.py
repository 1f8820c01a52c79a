"""Retrying files in `failed/` where they lie: same identity, rows once, history kept."""

from __future__ import annotations

import pytest
from tests.unit.operating import GOOD, HALF_BAD, Operator, dataset

from penstock.flows.plan_of import read_plan
from penstock.flows.retry_failed import Wanted
from penstock.flows.set_aside import write_reason
from penstock.model.outcomes import Verdict


@pytest.fixture
def world() -> Operator:
    return Operator()


def test_a_file_whose_dataset_was_mended_is_loaded_from_where_it_lies(world: Operator) -> None:
    failed = world.fail()
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


def test_its_history_stays(world: Operator) -> None:
    failed = world.fail()
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


def test_a_reason_that_is_written_twice_by_one_run_has_no_double_history(world: Operator) -> None:
    failed = world.fail()
    [retried] = read_plan(world.store, world.retry().run).arrivals

    for _ in range(2):
        write_reason(world.store, retried, "things", "things/", "the run", "bad again")

    assert [one["reason"] for one in world.reason(failed)["history"]] == [world.outcome(failed).reason]


def test_rejects_that_hold_no_more_are_emptied_and_those_that_do_stay(world: Operator) -> None:
    mended, tolerated = world.put("mended.csv", b"id,name\n1,one\n,two\n"), world.put("tolerated.csv", HALF_BAD)
    world.ingest()
    columns = [{"name": "id", "type": "integer"}, {"name": "name", "type": "text"}]
    world.datasets["things"] = dataset(columns=columns, max_reject_ratio=0.5)

    world.retry()
    world.work()

    assert world.store.content(f"failed/things/{mended.id}-mended.csv.rejects.jsonl") == b""
    assert b'"line":3' in world.store.content(f"failed/things/{tolerated.id}-tolerated.csv.rejects.jsonl")


def test_one_that_fails_again_stays_with_its_new_reason(world: Operator) -> None:
    failed = world.fail()
    columns = [{"name": "number", "type": "integer"}, {"name": "name", "type": "text"}]
    world.datasets["things"] = dataset(columns=columns)

    world.retry()
    world.work()

    assert world.store.content(f"failed/things/2026/{failed.id}-a.csv") == HALF_BAD
    assert "header" in world.reason(failed)["reason"]
    assert world.outcome(failed).verdict is Verdict.QUARANTINED
    assert world.rows == []


def test_a_file_that_nobody_claimed_goes_to_the_dataset_that_claims_it_now(world: Operator) -> None:
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


def test_one_that_is_claimed_and_fails_moves_to_its_dataset_s_folder(world: Operator) -> None:
    stranger = world.store.put("incoming/others/a.csv", HALF_BAD)
    world.ingest()
    world.datasets["others"] = dataset("others")

    world.retry()
    world.work()

    files = [key for key in world.shown("failed/") if key.endswith("-a.csv")]
    assert files == [f"failed/others/{stranger.id}-a.csv"]
    new = world.store.get_json(f"failed/others/{stranger.id}-a.csv.reason.json")
    assert [one["dataset"] for one in new["history"]] == ["_unclaimed"]
