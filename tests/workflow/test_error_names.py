"""Every error name in the definition is one that a handler raises or that the platform is known to report.

Step Functions matches names exactly and says nothing of one that can't occur: a Retry with a typo never retries.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
import yaml
from tests.workflow.definition import FUNCTIONS, REPOSITORY, SUBSTITUTIONS, definition, states
from tests.workflow.runtime_api import Worker, worker

OURS = {"TransientError", "PermanentError"}

SERVICE_EXCEPTIONS = "https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html"
ERROR_HANDLING = "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html"
SEEN_ON_LAMBDA = "https://github.com/floci-io/floci/issues/3314"  # What Lambda itself answers when a worker ends so.
NOT_READY = "https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors"
"""Of a function that is new, or was idle for weeks: seen to take 40 to 106 seconds,
https://github.com/aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws/issues/801"""
PLATFORM = {
    "States.ALL": ERROR_HANDLING,
    "States.TaskFailed": ERROR_HANDLING,
    "States.Timeout": ERROR_HANDLING,
    "Lambda.TooManyRequestsException": SERVICE_EXCEPTIONS,
    "Lambda.ClientExecutionTimeoutException": SERVICE_EXCEPTIONS,
    "Lambda.ServiceException": SERVICE_EXCEPTIONS,
    "Lambda.AWSLambdaException": SERVICE_EXCEPTIONS,
    "Lambda.SdkClientException": SERVICE_EXCEPTIONS,
    "Lambda.CodeArtifactUserPendingException": NOT_READY,
    "Lambda.CodeArtifactUserDeletedException": NOT_READY,
    "Lambda.ResourceNotReadyException": NOT_READY,
    "Lambda.ResourceConflictException": NOT_READY,
    "Lambda.ENINotReadyException": NOT_READY,
    "Lambda.EC2ThrottledException": NOT_READY,
    "Lambda.SnapStartNotReadyException": NOT_READY,
    "Lambda.SnapStartTimeoutException": NOT_READY,
    "Lambda.Unknown": SERVICE_EXCEPTIONS,
    "Sandbox.Timedout": SEEN_ON_LAMBDA,
    "Runtime.ExitError": SEEN_ON_LAMBDA,
}
"""Name → where it is documented."""

FOLDERS = sorted(path.parent for path in REPOSITORY.glob("functions/*/app.py"))
TASKS = [(name, state) for name, state in states(definition()) if state["Type"] == "Task"]
RETRIED = [(name, state) for name, state in TASKS if "Retry" in state]
FUNCTION_TASKS = [(name, state) for name, state in TASKS if "FunctionName" in state["Parameters"]]


def names_in_the_definition() -> set[str]:
    rules = [rule for _, state in states(definition()) for rule in (*state.get("Retry", []), *state.get("Catch", []))]
    return {name for rule in rules for name in rule["ErrorEquals"]}


def test_every_error_name_is_ours_or_the_platforms() -> None:
    assert names_in_the_definition() == OURS | set(PLATFORM)


def test_what_lambda_answers_for_a_function_that_is_not_ready_is_an_error_of_its_api() -> None:
    invoke = botocore.session.get_session().get_service_model("lambda").operation_model("Invoke")

    known = {f"Lambda.{shape.name}" for shape in invoke.error_shapes}

    assert {name for name, source in PLATFORM.items() if source == NOT_READY} <= known


APP = """
from penstock.handler import lambda_handler
from penstock.model import errors

class DeadlockError(errors.TransientError): pass

@lambda_handler
def handler(event, context):
    name = event["raise"]
    raise {**vars(errors), "DeadlockError": DeadlockError, "KeyError": KeyError}[name]("flights, as the test wants it")
"""


@pytest.fixture(scope="module")
def raising(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("function")
    (folder / "app.py").write_text(APP)
    with worker(folder) as running:
        yield running


@pytest.mark.parametrize(
    ("raised", "reported"),
    [
        ("TransientError", "TransientError"),
        ("DeadlockError", "TransientError"),
        ("PermanentError", "PermanentError"),
        ("BadFileError", "PermanentError"),
        ("DatasetError", "PermanentError"),
    ],
)
def test_lambdas_own_runtime_reports_the_name_that_the_definition_waits_for(
    raising: Worker, raised: str, reported: str
) -> None:
    report = raising.invoke({"plan": "p-1", "batch": 0, "raise": raised})

    assert report.error_type == reported
    assert report.error_type in names_in_the_definition()
    assert report.body["errorMessage"] == "flights, as the test wants it"


def test_lambdas_own_runtime_reports_nothing_of_an_unforeseen_error_but_its_name_and_place(raising: Worker) -> None:
    report = raising.invoke({"plan": "p-1", "batch": 0, "raise": "KeyError"})

    assert report.error_type == "KeyError"
    assert report.error_type not in names_in_the_definition()
    assert "as the test wants it" not in json.dumps(report.body)
    assert "app.py" in report.body["errorMessage"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_function_runs_under_lambdas_own_runtime(folder: Path) -> None:
    environment = {"PENSTOCK_BUCKET": "", "PENSTOCK_DATASETS": str(REPOSITORY / "datasets")}

    with worker(folder, environment) as running:
        event = {"plan": "p-1", "batch": 0, "part": 0, "handle": "h", "dataset": "flights", "step": "load"}
        report = running.invoke(event)

    assert report.error_type == "PermanentError"
    assert "PENSTOCK_BUCKET: Field required" in report.body["errorMessage"]


def test_one_kind_of_error_has_one_retry_policy_everywhere() -> None:
    policies: dict[str, set[str]] = {}
    for _, state in RETRIED:
        for rule in state["Retry"]:
            policy = json.dumps({key: value for key, value in rule.items() if key != "ErrorEquals"})
            for name in rule["ErrorEquals"]:
                policies.setdefault(name, set()).add(policy)

    assert {name: len(kinds) for name, kinds in policies.items() if len(kinds) > 1} == {}


def test_only_what_takes_hours_is_left_to_the_next_run_at_once() -> None:
    """A run that works a file for hours is not repeated blindly: the file is put back, and an attempt counted."""
    unretried = [state["Resource"] for _, state in TASKS if "Retry" not in state]

    assert set(unretried) == {"arn:aws:states:::ecs:runTask.sync"}


@pytest.mark.parametrize(("name", "state"), RETRIED, ids=[name for name, _ in RETRIED])
def test_each_retry_backs_off_with_a_cap_and_full_jitter(name: str, state: dict[str, object]) -> None:
    rules = state["Retry"]

    assert isinstance(rules, list)
    assert rules
    for rule in rules:
        assert rule["JitterStrategy"] == "FULL"
        assert rule["BackoffRate"] >= 2
        assert rule["MaxDelaySeconds"] <= 60
        assert 1 <= rule["MaxAttempts"] <= 6


def test_each_functions_task_retries_all_that_the_others_do() -> None:
    retried = {
        name: {error for rule in state["Retry"] for error in rule["ErrorEquals"]} for name, state in FUNCTION_TASKS
    }

    assert len({frozenset(errors) for errors in retried.values()}) == 1


def test_a_task_gives_up_after_its_function_has() -> None:
    template = yaml.load((REPOSITORY / "template.yaml").read_text(), _Template)  # noqa: S506 - made for the tags alone
    functions = {
        arn: template["Resources"][FUNCTIONS[name]] for name, arn in SUBSTITUTIONS.items() if name in FUNCTIONS
    }

    for name, state in FUNCTION_TASKS:
        function = functions[state["Parameters"]["FunctionName"]]["Properties"]
        assert state["TimeoutSeconds"] > function["Timeout"], name


def test_every_state_says_what_it_is_for() -> None:
    assert [name for name, state in states(definition()) if len(state.get("Comment", "")) < 10] == []


def test_a_runs_leases_outlive_the_machine() -> None:
    template = yaml.load((REPOSITORY / "template.yaml").read_text(), _Template)  # noqa: S506 - made for the tags alone
    lasting = template["Globals"]["Function"]["Environment"]["Variables"]["PENSTOCK_RUN_SECONDS"]

    assert int(lasting) > definition()["TimeoutSeconds"]


class _Template(yaml.SafeLoader):
    """CloudFormation's short forms, whose values nothing here asks for."""


_Template.add_multi_constructor("!", lambda *_: None)
