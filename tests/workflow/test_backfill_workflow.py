"""A backfill goes from part to part, works each batch by ingest's own steps, and ends as a run does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from tests.conftest import free_port
from tests.workflow.definition import BACKFILL, PATH, definition, states
from tests.workflow.engines import Machine, client_of, embedded
from tests.workflow.shared_steps import shared_by

GIVEN = {"plan": "b-backfill", "part": 0}
ITEMS = [{"plan": "b-backfill-00000-00", "batch": 0}, {"plan": "b-backfill-00000-00", "batch": 1}]
ITEMS += [{"plan": "b-backfill-00000-01", "batch": 0}]
PLAN, SUM_UP, ANNOUNCE, KICK_OFF = "Plan the next part", "Sum up the run", "Announce the run", "Start the pipeline"


@pytest.fixture(scope="module")
def backfill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    # Step Functions Local has no Distributed Map, so the embedded engine alone runs this.
    with embedded(free_port(), tmp_path_factory.mktemp("engine")) as endpoint:
        s3: Any = boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        s3.create_bucket(Bucket="landing")
        s3.put_object(Bucket="landing", Key="plans/b-backfill/items/00000.json", Body=json.dumps(ITEMS))
        yield Machine(client_of(endpoint), definition(BACKFILL), "Backfill")


def test_a_batchs_steps_and_a_runs_end_are_those_of_ingest() -> None:
    assert shared_by(BACKFILL) == shared_by(PATH), "python -m tests.workflow.shared_steps copies ingest's"


def test_it_plans_a_part_when_the_one_before_is_done_until_there_is_none(backfill: Machine) -> None:
    run = backfill.execute("TwoParts", GIVEN)

    assert run.status == "SUCCEEDED"
    assert [given["part"] for given in run.given(PLAN)] == [0, 1, 2, 3]
    assert run.attempts(SUM_UP) == run.attempts(ANNOUNCE) == 1
    (summed_up,) = run.given(SUM_UP)
    assert summed_up["plan"] == "b-backfill"
    children = backfill.children()
    assert sorted((child["input"]["plan"], child["input"]["batch"]) for child in children) == sorted(
        (item["plan"], item["batch"]) for item in ITEMS * 2
    )
    assert {child["status"] for child in children} == {"SUCCEEDED"}
    assert children[0]["output"] == {"processed": 2, "failed": 1, "put_back": 0}


def test_a_prefix_with_nothing_in_it_ends_well(backfill: Machine) -> None:
    run = backfill.execute("Nothing", GIVEN)

    assert run.status == "SUCCEEDED"
    assert backfill.children() == []


def test_what_was_loaded_is_kicked_off_once_at_its_end(backfill: Machine) -> None:
    run = backfill.execute("KicksOff", GIVEN)

    assert run.attempts(KICK_OFF) == 2


def test_a_batch_that_is_not_settled_fails_no_child_and_the_whole_at_its_end(backfill: Machine) -> None:
    run = backfill.execute("NoneIsSettled", GIVEN)

    assert (run.status, run.error) == ("FAILED", "BatchNotSettled")
    assert run.attempts(ANNOUNCE) == 1
    assert {child["status"] for child in backfill.children()} == {"SUCCEEDED"}


def test_a_map_that_fails_as_a_whole_is_summed_up_and_announced(backfill: Machine) -> None:
    run = backfill.execute("ItemsAreGone", GIVEN)

    assert (run.status, run.error) == ("FAILED", "BatchNotSettled")
    assert run.attempts(ANNOUNCE) == 1


def test_a_planner_that_heals_is_tried_again_and_one_that_refuses_is_not(backfill: Machine) -> None:
    healed = backfill.execute("PlannerHeals", GIVEN)
    refused = backfill.execute("PlannerRefuses", GIVEN)

    assert (healed.status, healed.attempts(PLAN)) == ("SUCCEEDED", 2)
    assert (refused.status, refused.error, refused.attempts(PLAN)) == ("FAILED", "PermanentError", 1)


def test_its_map_says_how_many_at_once_how_many_may_fail_and_where_results_go() -> None:
    (work,) = [state for name, state in states(definition(BACKFILL)) if name == "Work the part"]

    assert work["MaxConcurrency"] == 2
    assert 0 < work["ToleratedFailurePercentage"] < 100
    assert work["ResultWriter"]["Parameters"]["Bucket"] == "landing"
    assert work["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}


def test_every_state_says_what_it_is_for() -> None:
    assert [name for name, state in states(definition(BACKFILL)) if len(state.get("Comment", "")) < 10] == []
