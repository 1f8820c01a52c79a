"""What the workflow does with each way in which a step can end. The answers are MockConfigFile.json's test cases."""

from __future__ import annotations

import json

import pytest
from tests.workflow.engines import IMAGE, Machine, has_image

LOAD, POLL, INDEX = "Load into the warehouse", "Ask how the load goes", "Index for search"
LOAD_TASK, INDEX_TASK = "Load as a task", "Index as a task"
INDEX_AFTER = "Index what was loaded"
LOAD_PARQUET, INDEX_PARQUET = "Load Parquet into the warehouse", "Index what was loaded of Parquet"
SETTLE, SUM_UP, ANNOUNCE, KICK_OFF = "Settle the batch", "Sum up the run", "Announce the run", "Start the pipeline"

DONE = {"status": "done", "handle": ""}
INDEXED = {"status": "done", "documents": 42, "rejected": 1}


def test_each_batch_is_loaded_indexed_and_settled_and_the_run_is_announced(machine: Machine) -> None:
    run = machine.run("HappyPath", batches=[0, 1, 2])

    assert run.status == "SUCCEEDED"
    for step in (LOAD, INDEX):
        assert sorted(run.given(step), key=lambda given: given["batch"]) == [
            {"plan": "p-1", "batch": batch} for batch in range(3)
        ]
    assert sorted(run.given(SETTLE), key=lambda given: given["batch"]) == [
        {"plan": "p-1", "batch": batch, "warehouse": DONE, "search": INDEXED} for batch in range(3)
    ]
    (summed_up,) = run.given(SUM_UP)
    assert summed_up["plan"] == "p-1"
    assert summed_up["run"]  # The execution's name, by which a closing is told from the run that it closes.
    [announced] = run.given(ANNOUNCE)
    assert (announced["Subject"], announced["Message"]) == ("run p-1 is done", "2 processed, 1 failed")
    assert run.attempts(POLL) == run.attempts(INDEX_AFTER) == run.attempts(KICK_OFF) == 0


def test_a_run_without_batches_ends_well(machine: Machine) -> None:
    run = machine.run("HappyPath", batches=[])

    assert run.status == "SUCCEEDED"
    assert run.attempts(LOAD) == run.attempts(SETTLE) == 0
    assert run.attempts(SUM_UP) == run.attempts(ANNOUNCE) == 1


def test_what_heals_by_itself_is_tried_again_and_leaves_no_trace_in_the_outcome(machine: Machine) -> None:
    run = machine.run("RetryThenSuccess")

    assert run.status == "SUCCEEDED"
    assert run.attempts(LOAD) == 3
    assert run.attempts(INDEX) == 2
    assert run.given(SETTLE) == [{"plan": "p-1", "batch": 0, "warehouse": DONE, "search": INDEXED}]


def test_a_function_that_was_idle_for_weeks_is_waited_for(machine: Machine) -> None:
    run = machine.run("NotReady")

    assert run.status == "SUCCEEDED"
    assert run.attempts(SETTLE) == 2


def test_what_does_not_heal_is_given_up_after_six_retries_and_settled_as_failed(machine: Machine) -> None:
    run = machine.run("RetriesExhausted")

    assert run.status == "SUCCEEDED"
    assert run.attempts(LOAD) == 7
    [settled] = run.given(SETTLE)
    assert settled["warehouse"] == {
        "status": "failed",
        "error": "TransientError",
        "cause": "the warehouse does not answer",
    }


def test_a_permanent_error_is_not_tried_again(machine: Machine) -> None:
    run = machine.run("PermanentError")

    assert run.status == "SUCCEEDED"
    assert run.attempts(LOAD) == run.attempts(INDEX) == 1
    [settled] = run.given(SETTLE)
    assert settled["warehouse"] == {
        "status": "failed",
        "error": "PermanentError",
        "cause": "there is no table public.flights",
    }
    assert settled["search"] == {
        "status": "failed",
        "error": "PermanentError",
        "cause": "the mapping of index flights conflicts",
    }


def test_an_error_that_nobody_foresaw_is_an_outcome_too(machine: Machine) -> None:
    run = machine.run("UnknownError")

    assert run.status == "SUCCEEDED"
    assert run.attempts(LOAD) == 1
    assert run.given(SETTLE)[0]["warehouse"]["error"] == "KeyError"


def test_a_failed_search_branch_does_not_touch_the_warehouse_branch(machine: Machine) -> None:
    run = machine.run("SearchFails")

    assert run.status == "SUCCEEDED"
    assert run.attempts(LOAD) == 1
    assert run.attempts(INDEX) == 7
    [settled] = run.given(SETTLE)
    assert settled["warehouse"] == DONE
    assert settled["search"] == {"status": "failed", "error": "TransientError", "cause": "the index does not answer"}


def test_a_failed_warehouse_branch_does_not_touch_the_search_branch(machine: Machine) -> None:
    run = machine.run("WarehouseFails")

    assert run.status == "SUCCEEDED"
    [settled] = run.given(SETTLE)
    assert settled["warehouse"]["status"] == "failed"
    assert settled["search"] == INDEXED


def test_an_index_that_has_to_follow_the_load_is_asked_again_when_that_has_ended(machine: Machine) -> None:
    run = machine.run("IndexFollowsTheLoad", batches=[0, 1])

    assert run.status == "SUCCEEDED"
    assert run.attempts(INDEX) == 2
    assert sorted(run.given(INDEX_AFTER), key=lambda given: given["batch"]) == [
        {"plan": "p-1", "batch": batch, "load_ended": True} for batch in range(2)
    ]
    assert sorted(run.given(SETTLE), key=lambda given: given["batch"]) == [
        {"plan": "p-1", "batch": batch, "warehouse": DONE, "search": INDEXED} for batch in range(2)
    ]


def test_an_index_that_follows_a_load_that_failed_is_asked_all_the_same(machine: Machine) -> None:
    run = machine.run("IndexFollowsALoadThatFailed")

    assert run.status == "SUCCEEDED"
    assert run.attempts(INDEX_AFTER) == 1
    [settled] = run.given(SETTLE)
    assert settled["warehouse"]["status"] == "failed"
    assert settled["search"] == INDEXED


def test_an_index_that_fails_after_the_load_is_settled_as_failed(machine: Machine) -> None:
    run = machine.run("IndexFailsAfterTheLoad")

    assert run.status == "SUCCEEDED"
    assert run.attempts(INDEX_AFTER) == 7
    [settled] = run.given(SETTLE)
    assert settled["warehouse"] == DONE
    assert settled["search"] == {"status": "failed", "error": "TransientError", "cause": "the index does not answer"}


def test_a_batch_of_parquet_is_loaded_and_then_indexed_by_the_function_that_reads_it(machine: Machine) -> None:
    run = machine.run("Parquet", batches=[0, 1])

    assert run.status == "SUCCEEDED"
    for step, more in ((LOAD_PARQUET, {"step": "load", "handle": ""}), (INDEX_PARQUET, {"step": "index"})):
        assert sorted(run.given(step), key=lambda given: given["batch"]) == [
            {"plan": "p-1", "batch": batch, **more} for batch in range(2)
        ]
    assert run.attempts(INDEX_AFTER) == 0
    assert sorted(run.given(SETTLE), key=lambda given: given["batch"]) == [
        {"plan": "p-1", "batch": batch, "warehouse": DONE, "search": INDEXED} for batch in range(2)
    ]


def test_a_load_of_parquet_is_asked_after_and_its_next_round_is_read_by_the_function_that_can(machine: Machine) -> None:
    run = machine.run("ParquetGoesOn")

    assert run.status == "SUCCEEDED"
    assert [given["handle"] for given in run.given(LOAD_PARQUET)] == ["", "query-7"]
    assert run.given(POLL) == [{"plan": "p-1", "batch": 0, "handle": "query-7"}]
    assert run.given(SETTLE)[0]["warehouse"] == DONE


def test_what_fails_of_a_batch_of_parquet_is_an_outcome_of_its_branch(machine: Machine) -> None:
    run = machine.run("ParquetFails")

    assert run.status == "SUCCEEDED"
    assert (run.attempts(LOAD_PARQUET), run.attempts(INDEX_PARQUET)) == (1, 7)
    [settled] = run.given(SETTLE)
    assert settled["warehouse"]["error"] == "PermanentError"
    assert settled["search"]["error"] == "TransientError"


def test_a_load_that_goes_on_is_asked_after_with_doubled_waits_until_it_is_done(machine: Machine) -> None:
    run = machine.run("Polls")

    assert run.status == "SUCCEEDED"
    assert run.attempts(LOAD) == 1
    assert run.given(POLL) == [{"plan": "p-1", "batch": 0, "handle": "query-7"}] * 3
    assert [wait["outcomes"]["wait_seconds"] for wait in run.entered("Wait for the load")] == [10, 20, 40]
    assert run.given(SETTLE)[0]["warehouse"] == DONE


def test_a_poll_that_fails_ends_the_branch_in_an_outcome(machine: Machine) -> None:
    run = machine.run("PollFails")

    assert run.status == "SUCCEEDED"
    assert run.attempts(POLL) == 1
    assert run.given(SETTLE)[0]["warehouse"]["error"] == "PermanentError"


def test_a_load_that_never_ends_is_given_up_after_ten_polls(machine: Machine) -> None:
    run = machine.run("LoadsForEver")

    assert run.status == "SUCCEEDED"
    assert run.attempts(POLL) == 10
    assert sum(wait["outcomes"]["wait_seconds"] for wait in run.entered("Wait for the load")) == 10_230
    [settled] = run.given(SETTLE)
    assert settled["warehouse"]["status"] == "failed"
    assert settled["warehouse"]["error"] == "LoadTookTooLong"
    assert settled["search"] == INDEXED


@pytest.mark.parametrize("test_case", ["Huge", "ParquetIsHuge"])
def test_what_a_function_has_no_time_for_is_loaded_and_then_indexed_as_a_task(machine: Machine, test_case: str) -> None:
    run = machine.run(test_case)

    assert run.status == "SUCCEEDED"
    for step, command in ((LOAD_TASK, "begin_load"), (INDEX_TASK, "index_batch")):
        [asked] = run.given(step)
        [container] = asked["Overrides"]["ContainerOverrides"]
        assert container["Command"] == [command, "--plan", "p-1", "--batch", "0"]
        network = asked["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network == {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroups": ["sg-1"]}
    assert run.given(SETTLE) == [{"plan": "p-1", "batch": 0, "warehouse": DONE, "search": {"status": "done"}}]


def test_a_task_that_ends_badly_ends_its_branch_in_an_outcome_and_the_other_goes_on(machine: Machine) -> None:
    run = machine.run("HugeTaskFails")

    assert run.status == "SUCCEEDED"
    assert run.attempts(LOAD_TASK) == run.attempts(INDEX_TASK) == 1
    [settled] = run.given(SETTLE)
    assert (settled["warehouse"]["status"], settled["warehouse"]["error"]) == ("failed", "States.TaskFailed")
    assert json.loads(settled["warehouse"]["cause"])["Containers"][0]["ExitCode"] == 75
    assert settled["search"] == {"status": "done"}


@pytest.mark.parametrize(
    ("test_case", "step", "branch", "error"),
    [
        ("TaskTimesOut", LOAD, "warehouse", "States.Timeout"),
        ("FunctionTimesOut", LOAD, "warehouse", "Sandbox.Timedout"),
        ("WorkerCrashes", LOAD, "warehouse", "Runtime.ExitError"),
        ("WorkerDiesUnseen", INDEX, "search", "Lambda.Unknown"),
    ],
)
def test_a_worker_that_dies_is_tried_twice_more_and_settled_as_failed(
    machine: Machine, test_case: str, step: str, branch: str, error: str
) -> None:
    run = machine.run(test_case)

    assert run.status == "SUCCEEDED"
    assert run.attempts(step) == 3
    [settled] = run.given(SETTLE)
    assert settled[branch]["status"] == "failed"
    assert settled[branch]["error"] == error


def test_a_batch_that_nobody_settles_fails_the_run_at_its_end_and_holds_up_no_other(machine: Machine) -> None:
    run = machine.run("OneBatchIsNotSettled", batches=[0, 1, 2])

    assert (run.status, run.error) == ("FAILED", "BatchNotSettled")
    assert sorted(given["batch"] for given in run.given(SETTLE)) == [0, 1, 2]
    assert run.attempts(SUM_UP) == run.attempts(ANNOUNCE) == 1
    assert run.given(KICK_OFF) == [{"plan": "p-1", "dataset": "flights"}]


def test_a_summary_that_fails_fails_the_run(machine: Machine) -> None:
    run = machine.run("SummaryFails")

    assert (run.status, run.error) == ("FAILED", "PermanentError")
    assert run.attempts(SETTLE) == 1
    assert run.attempts(ANNOUNCE) == 0


def test_each_dataset_that_asks_for_it_is_kicked_off_after_the_announcement(machine: Machine) -> None:
    run = machine.run("KicksOff")

    assert run.status == "SUCCEEDED"
    assert sorted(given["dataset"] for given in run.given(KICK_OFF)) == ["flights", "weather"]
    assert run.attempts(ANNOUNCE) == 1


def test_a_kickoff_that_fails_fails_the_run_by_its_own_error_and_undoes_nothing(machine: Machine) -> None:
    run = machine.run("KickOffFails")

    assert (run.status, run.error) == ("FAILED", "PermanentError")
    assert json.loads(run.cause)["errorMessage"] == "the pipeline does not exist"
    assert run.attempts(SETTLE) == run.attempts(SUM_UP) == run.attempts(ANNOUNCE) == 1


def test_an_announcement_that_fails_stops_no_kickoff_but_fails_the_run(machine: Machine) -> None:
    run = machine.run("NobodyCanBeTold")

    assert (run.status, run.error) == ("FAILED", "RunNotAnnounced")
    assert run.attempts(ANNOUNCE) == 4
    assert run.attempts(KICK_OFF) == 2


def test_what_the_batches_gave_is_not_carried_on(machine: Machine) -> None:
    run = machine.run("RetriesExhausted", batches=[0, 1])

    assert run.entered(SUM_UP) == [{"plan": "p-1", "batches": [0, 1]}]


def test_the_tests_above_also_run_on_step_functions_local(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--sfn-endpoint"):
        pytest.skip("they run against the endpoint that was given")
    if not has_image():
        pytest.skip(f"Docker has no image {IMAGE} here; `docker pull {IMAGE}` lets these tests start it")
