"""A slice of the campaign, the same each time, and the checker that it trusts. `make faults` runs all of it."""

from __future__ import annotations

import random

import psycopg
import pytest
from tests.faults.campaign import Campaign
from tests.faults.cases import Case, cases_of
from tests.faults.checker import leaked_in_logs, wrong
from tests.faults.deployment import FaultyStack
from tests.faults.kinds import Fault, Point
from tests.faults.scenarios import SCENARIOS

from penstock.model.backfills import is_backfill
from penstock.model.plans import Plan

pytestmark = pytest.mark.xdist_group("faults")

SEED = 20131001
CASES = 6
"""Beside one that delays: some seconds' worth."""

FUNCTIONS = {
    "list_incoming",
    "plan_backfill",
    "begin_load",
    "index_batch",
    "work_parquet",
    "settle_batch",
    "summarise_run",
    "kick_off",
}


def test_a_slice_of_all_faults_at_all_points_loses_nothing_and_doubles_nothing(campaign: Campaign) -> None:
    points = {scenario: campaign.points(scenario) for scenario in SCENARIOS}
    cases = cases_of(points)
    quick = [case for case in cases if case.fault is not Fault.DELAY]
    drawn = random.Random(SEED)  # noqa: S311 - no secret
    chosen = [*drawn.sample(quick, CASES), drawn.choice([case for case in cases if case.fault is Fault.DELAY])]

    results = [campaign.run(case) for case in chosen]

    assert {point.function for found in points.values() for point in found} == FUNCTIONS
    again = "python -m tests.faults --only"
    assert not [f"{found.wrong}; {again} '{found.case.name}'" for found in results if found.wrong]
    assert all(found.made for found in results)


def test_a_backfill_that_somebody_stopped_goes_on_where_it_was_when_it_is_started_again(
    faulty: FaultyStack, campaign: Campaign
) -> None:
    where = Point("plan_backfill", "s3 PutObject plans/sums/n.json", 0)  # The first part, of four files, is settled.

    played = campaign.play("backfilled", Case("backfilled", where, Fault.STOP))

    assert faulty.made(played.name), played
    backfills = sorted(one for one in played.executions if is_backfill(one))
    later = {one for one in played.executions if one != backfills[0]}
    assert wrong(faulty, played.name, played.puts, played.executions) == []
    assert len(backfills) >= 2
    planned = {key for execution in later for key in planned_by(faulty, execution.rpartition(":")[2])}
    assert planned == {put.file.key for put in played.puts[4:]}


def planned_by(faulty: FaultyStack, run: str) -> set[str]:
    """The keys of the files in a run's plan, or in those of a backfill's parts."""
    store = faulty.deployment.store
    plans = [key for key in store.keys(f"plans/{run}") if key.endswith("/plan.json")]
    return {arrival.key for key in plans for arrival in Plan.from_json(store.get_json(key)).arrivals}


@pytest.mark.parametrize("function", ["list_incoming", "plan_backfill", "settle_batch"])
def test_a_file_that_is_put_below_the_prefix_and_a_listing_while_a_backfill_is_at_work_lose_and_double_nothing(
    campaign: Campaign, function: str
) -> None:
    result = campaign.run(Case("backfilled", Point(function, "invocation", 0), Fault.MEANWHILE))

    assert (result.made, result.wrong) == (True, [])


def test_a_run_that_failed_before_its_kickoff_is_closed_again_and_its_closing_ended_by_the_next_listing(
    faulty: FaultyStack, campaign: Campaign
) -> None:
    result = campaign.run(Case("overwritten", Point("kick_off", "dynamodb GetItem", 0), Fault.FAIL_ALWAYS))

    assert (result.made, result.wrong) == (True, [])
    assert result.closings > 0
    assert faulty.live_runs() == []


def test_the_checker_sees_each_kind_of_damage(faulty: FaultyStack, campaign: Campaign) -> None:
    played = campaign.play("overwritten")
    s3, bucket = faulty.client("s3"), faulty.deployment.bucket

    def now_wrong() -> list[str]:
        return wrong(faulty, played.name, played.puts, played.executions)

    def remove(prefix: str) -> None:
        [found] = s3.list_object_versions(Bucket=bucket, Prefix=prefix)["Versions"]
        s3.delete_object(Bucket=bucket, Key=found["Key"], VersionId=found["VersionId"])

    assert now_wrong() == []

    with psycopg.connect(faulty.stack.warehouse_dsn("owner"), autocommit=True) as connection:
        connection.execute("DELETE FROM public.readings WHERE id = %s", [f"{played.name}-a2-1"])
        [lost] = now_wrong()
        assert lost.startswith("2: 1 rows of readings are missing")

        doubled = [f"{played.name}-c-1"]
        connection.execute("INSERT INTO public.readings SELECT * FROM public.readings WHERE id = %s", doubled)
        assert any(text.startswith("2: 1 rows of readings are too many") for text in now_wrong())

    assert faulty.deployment.search is not None
    faulty.deployment.search.delete_arrival("readings", played.puts[2].arrival)
    assert any(text.startswith("4: 2 documents of readings are missing") for text in now_wrong())

    remove(f"processed/readings/{played.name}/{played.puts[2].arrival}")
    assert any(text.endswith("is at no place") for text in now_wrong())

    [found] = s3.list_objects_v2(Bucket=bucket, Prefix=f"processed/readings/{played.name}/{played.puts[3].arrival}")[
        "Contents"
    ]
    s3.put_object(Bucket=bucket, Key=found["Key"], Body=b"another")
    assert any(text.startswith(f"1: the bytes of {found['Key']}") for text in now_wrong())

    left = s3.put_object(Bucket=bucket, Key=played.puts[0].file.key, Body=b"left")["VersionId"]
    assert f"1: 1 versions are left at {played.puts[0].file.key}" in now_wrong()
    s3.delete_object(Bucket=bucket, Key=played.puts[0].file.key, VersionId=left)

    remove(f"failed/readings/{played.name}/")
    assert any(text.startswith("3: ") for text in now_wrong())

    items, table = faulty.client("dynamodb"), faulty.deployment.outputs["LeaseTable"]
    run = played.executions[-1].rpartition(":")[2]
    items.delete_item(TableName=table, Key={"pk": {"S": "kick_off"}, "sk": {"S": f"{run}#readings"}})
    assert any(text.startswith(f"kickoff: run {run} loaded readings") for text in now_wrong())

    live = {"pk": {"S": "run"}, "sk": {"S": "left-over"}}
    items.put_item(TableName=table, Item={**live, "live": {"S": "left-over"}})
    assert any(text.startswith("7: run left-over is recorded as live") for text in now_wrong())
    items.delete_item(TableName=table, Key=live)


def test_no_log_of_all_that_happened_holds_content_or_the_password(faulty: FaultyStack) -> None:
    assert leaked_in_logs(faulty) == []
