"""What a stream of files is said to cost before it is deployed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from penstock.cli import app
from penstock.flows.backlog import Backlog
from penstock.flows.list_incoming import Listing
from penstock.local.forecast import MONTH, Files, batches_of, custom_metrics, forecast
from penstock.local.stack_template import StackTemplate
from penstock.metrics import publish_backlog, publish_breakers, publish_disagreements
from penstock.model.arrivals import UNCLAIMED
from penstock.model.reconciliation import Checked, Reconciliation

REPOSITORY = Path(__file__).parents[2]
A_MILLION_A_DAY = Files(a_month=30_000_000, size=200_000)


def stack(**parameters: str) -> StackTemplate:
    return StackTemplate.read(REPOSITORY / "template.yaml", parameters)


def cost(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["cost", "--from-template", str(REPOSITORY / "template.yaml"), *arguments])


def test_files_that_come_one_by_one_each_have_a_run() -> None:
    told = forecast(Files(a_month=100, size=1_000), stack())

    assert told.runs == told.batches == 100
    assert told.transitions == 100 * 11
    assert told.listings == pytest.approx(MONTH / 60, rel=0.01)  # One a minute, whether files come or not.


def test_many_files_share_a_run_for_each_window() -> None:
    told = forecast(A_MILLION_A_DAY, stack(ArrivalsWindowSeconds="10"))

    assert told.runs == pytest.approx(MONTH / 10, rel=0.01)


def test_a_pause_between_runs_makes_fewer_of_them_and_more_batches_in_each() -> None:
    soon, later = (forecast(A_MILLION_A_DAY, stack(MinSecondsBetweenRuns=pause)) for pause in ("0", "60"))

    assert later.runs < soon.runs / 10
    assert later.batches == later.runs * 7  # 700 files come in a minute, 100 are a batch.
    assert later.dollars < soon.dollars


def test_a_run_holds_no_more_than_may_be_leased() -> None:
    told = forecast(A_MILLION_A_DAY, stack(MinSecondsBetweenRuns="900", MaxLeasedFiles="1000"))

    assert told.runs == 30_000


def test_big_files_fill_a_batch_before_there_are_many() -> None:
    assert batches_of(replace(A_MILLION_A_DAY, size=2**20), 512) == 6
    assert batches_of(replace(A_MILLION_A_DAY, size=2**24), 512) == 32


def test_what_a_run_kicks_off_and_documents_that_follow_their_rows_are_states_more() -> None:
    plain = forecast(Files(a_month=100, size=1_000), stack())
    more = forecast(Files(a_month=100, size=1_000, kick_offs=1, indexed_after_load=True), stack())

    assert more.transitions == plain.transitions + 100 * (2 + 1)


def test_a_million_files_a_day_are_far_cheaper_together_and_a_few_are_cheaper_one_by_one() -> None:
    many = {one.name: one.dollars for one in forecast(A_MILLION_A_DAY, stack()).designs}
    few = {one.name: one.dollars for one in forecast(Files(a_month=30_000, size=200_000), stack()).designs}

    assert many["Penstock"] < many["One execution per file"] / 5
    assert few["Penstock"] > few["One execution per file"] > few["Lambda alone"]


@pytest.mark.parametrize("a_day", [1_000, 10_000, 100_000, 1_000_000])
@pytest.mark.parametrize("pause", ["0", "60"])
def test_the_page_on_costs_says_what_is_computed(a_day: int, pause: str) -> None:
    told = forecast(Files(a_month=a_day * 30, size=200_000), stack(MinSecondsBetweenRuns=pause))

    dollars = " | ".join(f"${one.dollars:,.2f}" for one in told.designs)
    assert f"| {a_day:,} | {pause} | {dollars} |" in (REPOSITORY / "docs" / "costs.md").read_text()


def test_arm_costs_a_fifth_less_of_lambda() -> None:
    x86, arm = (forecast(A_MILLION_A_DAY, stack(Architecture=one)) for one in ("x86_64", "arm64"))

    lambdas = [next(line for line in told.designs[0].lines if line.service == "Lambda") for told in (x86, arm)]
    calls = int(lambdas[0].what.split()[0].replace(",", "")) * 0.20 / 1e6
    assert lambdas[1].dollars - calls == pytest.approx((lambdas[0].dollars - calls) * 0.8, rel=1e-4)


def test_the_metrics_that_are_paid_for_are_those_that_are_published(capsys: pytest.CaptureFixture[str]) -> None:
    now, names = datetime(2026, 1, 1, tzinfo=UTC), ("flights", "weather", "planes")
    listing = Listing(listed=True, at=now, backlog={name: Backlog() for name in (*names, UNCLAIMED)})
    checked = {name: Checked() for name in names}

    publish_backlog("penstock", listing)
    publish_breakers("penstock", [])
    publish_disagreements("penstock", Reconciliation(now, now, checked=checked))

    published = set()
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        [told] = line["_aws"]["CloudWatchMetrics"]
        [dimensions] = told["Dimensions"]
        where = tuple((name, line[name]) for name in dimensions)
        published |= {(where, metric["Name"]) for metric in told["Metrics"]}
    assert len(published) == custom_metrics(len(names))


def test_the_command_tells_the_same_as_json_and_as_a_table() -> None:
    asked = ("--files", "1e6", "--size", "200KB", "--per", "day")

    shown, told = cost(*asked), json.loads(cost(*asked, "--json").stdout)

    assert told["files"]["a_month"] == 30_000_000
    assert told["files"]["size"] == 200_000
    assert f"${told['dollars_a_month']:,.2f} a month" in shown.stdout
    assert told["dollars_a_month"] == pytest.approx(forecast(A_MILLION_A_DAY, stack()).dollars)
    for design in told["designs"]:
        assert design["name"] in shown.stdout


def test_a_datasets_own_batches_and_kick_off_are_counted() -> None:
    folder = str(REPOSITORY / "datasets")

    told = json.loads(cost("--files", "10", "--dataset", "flights", "--datasets", folder, "--json").stdout)

    assert told["files"]["most_files"] == 50
    assert told["files"]["kick_offs"] == 1
    assert told["files"]["destinations"] == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--size", "big"), "--size big is no size"),
        (("--parameter", "Architecture"), "--parameter Architecture has no value"),
        (("--parameter", "Processor=arm64"), "has no parameter Processor"),
        (("--dataset", "flight", "--datasets", str(REPOSITORY / "datasets")), "there is no dataset flight"),
        (("--prices", "nowhere.yaml"), "nowhere.yaml is no table of prices"),
    ],
)
def test_what_is_not_understood_is_said_in_a_sentence(arguments: tuple[str, ...], told: str) -> None:
    result = cost("--files", "10", *arguments)

    assert result.exit_code == 1
    assert told in result.stderr
