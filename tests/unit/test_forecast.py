"""What a stream of files is said to cost before it is deployed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from penstock.local.forecast import MONTH, Files, Forecast, batches_of, forecast
from penstock.local.stack_template import StackTemplate
from penstock.model.limits import Flush, Pace

REPOSITORY = Path(__file__).parents[2]
A_MILLION_A_DAY = Files(a_month=30_000_000, size=200_000)


def stack(**parameters: str) -> StackTemplate:
    return StackTemplate.read(REPOSITORY / "template.yaml", parameters)


def paid(told: Forecast, service: str, of: str = "files") -> float:
    return sum(line.dollars for line in told.designs[0].lines if (line.service, line.of) == (service, of))


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

    [line] = [line for line in x86.designs[0].lines if (line.service, line.of) == ("Lambda", "files")]
    calls = int(line.what.split()[0].replace(",", "")) * 0.20 / 1e6
    assert paid(arm, "Lambda") - calls == pytest.approx((paid(x86, "Lambda") - calls) * 0.8, rel=1e-4)


A_FILE_A_SECOND = Files(a_month=MONTH, size=1_000)


@pytest.mark.parametrize(
    ("flush", "runs"),
    [
        (None, MONTH / 6),
        (Flush(files=120), MONTH / (119 + 5 + 1)),
        (Flush(files=10_000, after=timedelta(minutes=5)), MONTH / (300 + 3 + 1)),
        (Flush(files=10_000, bytes=60_000), MONTH / (59 + 5 + 1)),
    ],
)
def test_files_that_are_gathered_have_fewer_runs(flush: Flush | None, runs: float) -> None:
    told = forecast(replace(A_FILE_A_SECOND, flush=flush), stack())

    assert told.runs == pytest.approx(runs, rel=0.001)


def test_a_pace_bounds_what_a_run_holds() -> None:
    told = forecast(replace(A_FILE_A_SECOND, pace=Pace(min_files=2, max_files=4)), stack(MinSecondsBetweenRuns="60"))

    assert told.runs == told.batches == MONTH / 4


def test_bytes_bound_what_a_run_holds() -> None:
    told = forecast(
        Files(a_month=30_000, size=2**30), stack(MinSecondsBetweenRuns="900", MaxLeasedBytes=str(4 * 2**30))
    )

    assert told.runs == 7_500
    assert told.batches == 30_000


def test_redshift_is_asked_how_the_load_goes() -> None:
    plain = forecast(Files(a_month=100, size=1_000), stack())
    asked = forecast(Files(a_month=100, size=1_000), stack(Warehouse="redshift", RedshiftCluster="flights"))

    assert asked.transitions == plain.transitions + 100 * 4
    assert any("Redshift is not in it" in note for note in asked.notes)


def test_redshift_serverless_is_awake_a_minute_for_each_run_and_never_longer_than_the_month() -> None:
    known = stack(Warehouse="redshift", RedshiftCluster="flights", ReconcileSchedule="")

    few = forecast(Files(a_month=600, size=1_000), known, rpus=8)
    many = forecast(A_MILLION_A_DAY, known, rpus=8)

    assert paid(few, "Redshift Serverless") == pytest.approx(10 * 8 * 0.36)
    assert paid(many, "Redshift Serverless") == pytest.approx(720 * 8 * 0.36)


def test_parquet_has_a_function_and_states_of_its_own() -> None:
    plain = forecast(Files(a_month=100, size=1_000), stack())
    parquet = forecast(Files(a_month=100, size=1_000, parquet=True), stack())

    assert parquet.transitions == plain.transitions + 100 * (2 + 2)
    assert paid(parquet, "Lambda") > paid(plain, "Lambda")


def test_a_huge_file_is_a_tasks_and_without_one_is_refused() -> None:
    files = Files(a_month=30, size=5 * 10**9)
    tasks = {"TaskImage": "images/penstock", "TaskCluster": "tasks", "CreateNetwork": "true"}

    without, with_task = forecast(files, stack()), forecast(files, stack(**tasks))

    assert any("each is quarantined" in note for note in without.notes)
    assert not paid(without, "Fargate")
    seconds = 5_000 * (0.3 + 1.5)
    assert paid(with_task, "Fargate") == pytest.approx(30 * seconds / 3600 * (0.04048 + 2 * 0.004445))
    assert paid(with_task, "Lambda") < 1
    assert with_task.transitions == with_task.runs * 6 + 30 * (5 + 2 + 1)


def test_more_than_all_batches_can_work_is_said() -> None:
    assert any("the backlog grows" in note for note in forecast(replace(A_MILLION_A_DAY, size=10**7), stack()).notes)
    assert not any("the backlog grows" in note for note in forecast(A_MILLION_A_DAY, stack()).notes)


def test_reconciles_look_at_what_is_kept_and_that_is_bounded_by_what_expires() -> None:
    forever, a_week = (forecast(A_MILLION_A_DAY, stack(ProcessedExpirationDays=days)) for days in ("0", "7"))

    assert paid(forever, "S3", "reconcile") == pytest.approx(30 * (15_000 + 3) * 5e-6)
    assert paid(a_week, "S3", "reconcile") == pytest.approx(30 * (7_000 + 3) * 5e-6)
    assert any("ProcessedExpirationDays" in note for note in forever.notes)
    assert not any("given up after 3" in note for note in forever.notes)
    assert any("given up after 3" in note for note in forecast(replace(A_MILLION_A_DAY, a_month=10**9), stack()).notes)
    assert not paid(forecast(A_MILLION_A_DAY, stack(ReconcileSchedule="")), "S3", "reconcile")


def test_each_run_mails_whoever_is_told() -> None:
    told = forecast(Files(a_month=30_000, size=1_000), stack(NotificationEmail="ops@example.com"))

    assert paid(told, "SNS") == pytest.approx(told.runs * (0.5e-6 + 2e-5))
