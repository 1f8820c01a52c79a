"""What a stack costs by the hour, whatever comes; and what events and messages cost."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.flows.backlog import Backlog
from penstock.flows.list_incoming import Listing
from penstock.flows.watch_rate import Watched
from penstock.local.forecast import MONTH, Events, Files, Forecast, Messages, forecast
from penstock.local.front_doors import counting_of
from penstock.local.stack_template import StackTemplate
from penstock.local.standing import custom_metrics
from penstock.metrics import publish_backlog, publish_breakers, publish_disagreements, publish_rates
from penstock.model.arrivals import UNCLAIMED
from penstock.model.reconciliation import Checked, Reconciliation

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
NOTHING = Files(a_month=0, size=1_000)
DATABASE = {"Warehouse": "postgres", "CreateDatabase": "true", "CreateNetwork": "true"}
TASKS = {"TaskImage": "images/penstock", "TaskCluster": "tasks"}


def stack(**parameters: str) -> StackTemplate:
    return StackTemplate.read(TEMPLATE, parameters)


def paid(told: Forecast, service: str, of: str) -> float:
    return sum(line.dollars for line in told.designs[0].lines if (line.service, line.of) == (service, of))


@pytest.mark.parametrize(
    ("parameters", "service", "of", "dollars"),
    [
        ({}, "CloudWatch", "standing", 10 * 0.10 + 10 * 0.30 + 2 * 0.30 * 30 / 720 + 3.00),
        ({}, "SQS", "standing", 648_000 * 0.4e-6),
        (DATABASE, "RDS Proxy", "standing", 8 * 0.015 * 720),
        (DATABASE, "Aurora", "standing", 0.5 * 0.12 * 720),
        (DATABASE, "Secrets Manager", "standing", 0.40),
        (DATABASE, "VPC", "standing", 0),
        ({**DATABASE, **TASKS}, "VPC", "standing", 6 * 0.01 * 720),
        ({"Warehouse": "redshift", "CreateNetwork": "true"}, "VPC", "standing", 2 * 0.01 * 720),
        ({"Stream": "on-demand"}, "Kinesis", "stream", 0.04 * 720),
        ({"Stream": "provisioned", "StreamShards": "3"}, "Kinesis", "stream", 3 * 0.015 * 720),
        ({"Stream": "on-demand"}, "CloudWatch", "stream", 4 * 3 * (0.30 + 0.10)),
        ({"Messages": "standard"}, "SQS", "standing", 2 * 648_000 * 0.4e-6),
    ],
)
def test_what_is_paid_by_the_hour_is_in_an_idle_stack(
    parameters: dict[str, str], service: str, of: str, dollars: float
) -> None:
    told = forecast(NOTHING, stack(**parameters))

    assert paid(told, service, of) == pytest.approx(dollars)
    assert sum(line.dollars for line in told.idle) == told.dollars


def test_the_alarms_of_an_archive_are_paid_for() -> None:
    with_archive, without = (
        forecast(NOTHING, stack(Stream="provisioned", **archive)) for archive in ({"Archive": "stream"}, {})
    )

    assert with_archive.dollars - without.dollars == pytest.approx(2 * 0.10)


def test_an_idle_stack_is_the_same_however_much_comes_to_a_busy_one() -> None:
    known = stack(Stream="on-demand", Archive="stream", Messages="standard")

    busy = forecast(Files(10**6, 10**5), known, events=Events(10**7), messages=Messages(10**6))

    assert sum(line.dollars for line in busy.idle) == forecast(NOTHING, known).dollars


def test_the_metrics_that_are_paid_for_are_those_that_are_published(capsys: pytest.CaptureFixture[str]) -> None:
    now, names = datetime(2026, 1, 1, tzinfo=UTC), ("flights", "weather", "planes")
    backlog = {name: Backlog() for name in (*names, UNCLAIMED)} | {"flights": Backlog(files=1, bytes=1, oldest=now)}
    listing = Listing(listed=True, at=now, backlog=backlog, silent={"weather": False})
    checked = {name: Checked() for name in names}

    publish_backlog("penstock", listing)
    publish_breakers("penstock", [])
    publish_rates("penstock", 1, Watched())
    publish_disagreements("penstock", Reconciliation(now, now, checked=checked))

    published = set()
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        [told] = line["_aws"]["CloudWatchMetrics"]
        [dimensions] = told["Dimensions"]
        where = tuple((name, line[name]) for name in dimensions)
        published |= {(where, metric["Name"]) for metric in told["Metrics"]}
    hourly = stack(ReconcileSchedule="rate(1 hour)", Stream="provisioned")
    assert len(published) == custom_metrics(Files(MONTH, 1, datasets=len(names), expected=1), hourly, runs=MONTH)


def test_events_that_are_remembered_are_two_write_units_each_and_those_that_are_not_next_to_none() -> None:
    events = Events(30_000_000)
    window = {"Stream": "provisioned", "StreamWindowSeconds": "60"}

    remembered, forgotten = (
        counting_of(events, stack(StreamDedupeMinutes=minutes, **window)) for minutes in ("60", "0")
    )

    assert 2 * remembered.writes == pytest.approx(2 * events.a_month, rel=0.1)
    assert forgotten.writes == forgotten.calls * 6  # Five types, and the place.


def test_a_stream_on_demand_counts_whole_kilobytes_and_who_reads_them() -> None:
    alone = forecast(NOTHING, stack(Stream="on-demand"), events=Events(10**6, size=100))
    archived = forecast(NOTHING, stack(Stream="on-demand", Archive="stream"), events=Events(10**6, size=100))

    assert paid(alone, "Kinesis", "stream") == pytest.approx(0.04 * 720 + 1.024 * (0.08 + 0.04))
    assert paid(archived, "Kinesis", "stream") == pytest.approx(0.04 * 720 + 1.024 * (0.08 + 2 * 0.04))


def test_firehose_counts_each_event_as_five_kilobytes_and_its_files_are_worked_like_any() -> None:
    told = forecast(NOTHING, stack(Archive="direct"), events=Events(10**6, size=100))

    assert paid(told, "Firehose", "archive") == pytest.approx(5.12 * 0.029)
    assert told.files.a_month == math.ceil(MONTH / (300 + MONTH / 10**6))
    assert told.runs == pytest.approx(told.files.a_month, rel=0.05)


def test_messages_in_order_are_far_more_files_than_those_that_are_not() -> None:
    loose, ordered = (
        forecast(NOTHING, stack(Messages=kind), messages=Messages(3_000_000)) for kind in ("standard", "fifo")
    )

    assert loose.files.a_month == pytest.approx(MONTH / 60, rel=0.02)
    assert ordered.files.a_month > 40 * loose.files.a_month
    assert ordered.dollars > 5 * loose.dollars


def test_files_of_an_archive_beside_others_are_as_many_bytes_as_both() -> None:
    both = Files(a_month=100, size=1_000).beside(300, 5_000, unpacks_to=10)

    assert (both.a_month, both.size) == (400, 4_000)
    assert both.megabytes == pytest.approx((100 * 1_000 + 300 * 5_000 * 10) / 1e6)


def test_dead_letters_are_messages() -> None:
    clean, foul = (
        forecast(NOTHING, stack(Stream="provisioned"), events=Events(10**6, poison=share)) for share in (0, 0.5)
    )

    assert paid(clean, "SQS", "stream") == 0
    assert paid(foul, "SQS", "stream") == pytest.approx(500_000 * 0.4e-6)


def test_too_few_shards_are_told_of() -> None:
    told = forecast(NOTHING, stack(Stream="provisioned"), events=Events(2_000 * MONTH))

    assert any("StreamShards=1 refuses" in note for note in told.notes)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("as it comes", {}),
        ("`Messages=standard`", {"Messages": "standard"}),
        ("`SnapStart=published`", {"SnapStart": "published", "Canary": "Canary10Percent30Minutes"}),
        ("`Stream=provisioned`", {"Stream": "provisioned"}),
        ("`CreateNetwork=true`, `Warehouse=redshift`", {"CreateNetwork": "true", "Warehouse": "redshift"}),
        ("`Stream=on-demand`", {"Stream": "on-demand"}),
        ("`CreateNetwork=true`, `TaskImage`", {"CreateNetwork": "true", **TASKS}),
        ("`CreateDatabase=true`, `CreateNetwork=true`", DATABASE),
    ],
)
def test_the_page_on_costs_says_what_an_idle_stack_costs(name: str, parameters: dict[str, str]) -> None:
    page = (TEMPLATE.parent / "docs" / "costs.md").read_text().splitlines()

    [row] = [line for line in page if line.startswith(f"| {name}") and line.count("|") == 4]

    assert float(row.split("|")[2]) == round(forecast(NOTHING, stack(**parameters)).dollars, 2)


def test_the_page_on_deploying_says_what_an_idle_stack_costs() -> None:
    idle = forecast(NOTHING, stack()).dollars

    assert f"\n${idle:.2f} a month as it comes" in (TEMPLATE.parent / "docs" / "deploy.md").read_text()
