"""Which files a retry takes: those that are named, and lie in `failed/` with their reasons."""

from __future__ import annotations

import pytest
from tests.unit.operating import ALL, HALF_BAD, Operator

from penstock.flows.retry_failed import Wanted
from penstock.model.errors import PermanentError
from penstock.ports import RunStatus


@pytest.fixture
def world() -> Operator:
    return Operator()


@pytest.mark.parametrize("name", ["failed", "incoming", "id"])
def test_a_file_is_named_as_it_lies_as_it_came_or_by_its_arrival(world: Operator, name: str) -> None:
    failed = world.fail()
    other = world.put("b.csv", HALF_BAD)
    world.ingest()
    names = {"failed": f"failed/things/2026/{failed.id}-a.csv", "incoming": failed.key, "id": failed.id}

    retry = world.retrying().preview(Wanted((names[name],)))

    assert [one.arrival.id for one in retry.files] == [failed.id]
    assert other.id != failed.id


def test_a_name_of_no_failed_file_is_refused(world: Operator) -> None:
    failed = world.fail()
    with pytest.raises(PermanentError, match=r"incoming/things/none\.csv"):
        world.retrying().preview(Wanted((failed.key, "incoming/things/none.csv")))


def test_a_preview_writes_nothing(world: Operator) -> None:
    failed = world.fail()
    before = world.store.everything()

    retry = world.retrying().preview(ALL)

    assert [one.arrival.id for one in retry.files] == [failed.id]
    assert world.store.everything() == before
    assert [run for run in world.leases.live_runs() if world.runs.status(run.execution) is RunStatus.RUNNING] == []


def test_files_named_like_what_lies_beside_failed_ones_are_files(world: Operator) -> None:
    odd = [world.put("a.csv.reason.json", HALF_BAD), world.put("b.rejects.jsonl", HALF_BAD)]
    world.ingest()

    retry = world.retrying().preview(ALL)

    assert {one.arrival.id for one in retry.files} == {one.id for one in odd}


def test_a_file_whose_reason_was_deleted_is_passed_over(world: Operator) -> None:
    failed = world.fail()
    world.store.delete(f"failed/things/2026/{failed.id}-a.csv.reason.json")

    retry = world.retry()

    assert list(retry.passed_over) == [f"failed/things/2026/{failed.id}-a.csv"]
    assert retry.run == ""
