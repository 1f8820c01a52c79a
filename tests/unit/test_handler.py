from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.lambda_context import FakeContext

from penstock.handler import Answer, Context, Event, Handler, lambda_handler, logger, number, outcome, text
from penstock.model.errors import BadFileError, PermanentError, TransientError


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    stream = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)
    return stream


def raising(error: Exception) -> Handler:
    @lambda_handler
    def handler(event: Event, _context: Context) -> Answer:
        raise error

    return handler


class LockTimeoutError(TransientError):
    pass


@pytest.mark.parametrize(
    ("raised", "root"),
    [
        (TransientError("the warehouse does not answer"), TransientError),
        (LockTimeoutError("the warehouse does not answer"), TransientError),
        (PermanentError("there is no table public.flights"), PermanentError),
        (BadFileError("the header changed"), PermanentError),
    ],
)
def test_what_leaves_a_handler_is_the_root_itself_with_its_text(raised: Exception, root: type[Exception]) -> None:
    with pytest.raises(root) as caught:
        raising(raised)({}, FakeContext())

    assert type(caught.value) is root
    assert str(caught.value) == str(raised)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_an_unforeseen_error_keeps_its_name_and_loses_its_text(log: io.StringIO) -> None:
    error = KeyError("Jane Doe,4111-1111-1111-1111")

    with pytest.raises(Exception, match=r"unexpected KeyError at unit/test_handler\.py") as caught:
        raising(error)({}, FakeContext())

    assert type(caught.value).__name__ == "KeyError"
    assert "Jane" not in str(caught.value)
    assert "unexpected error" in log.getvalue()
    assert "Jane" not in log.getvalue()


def test_a_cause_that_quotes_a_row_is_not_logged(log: io.StringIO) -> None:
    @lambda_handler
    def handler(event: Event, _context: Context) -> Answer:
        try:
            raise ValueError("Jane Doe,4111-1111-1111-1111")
        except ValueError as error:
            raise TransientError("the batch could not be loaded") from error

    with pytest.raises(TransientError):
        handler({}, FakeContext())

    assert "the batch could not be loaded" in log.getvalue()
    assert "Jane" not in log.getvalue()


def test_each_line_that_is_logged_carries_run_and_batch(log: io.StringIO) -> None:
    @lambda_handler
    def handler(event: Event, _context: Context) -> Answer:
        return {"status": "done", "handle": ""}

    handler({"plan": "p-1", "batch": 3}, FakeContext())
    handler({"plan": "p-2"}, FakeContext())

    first, second = [json.loads(line) for line in log.getvalue().splitlines()]
    assert (first["run"], first["batch"], first["answer"]) == ("p-1", 3, {"status": "done", "handle": ""})
    assert 5 < first["peak_mib"] < 5000
    assert 0 <= first["cpu_ms"] < 5000
    assert first["function_request_id"] == FakeContext().aws_request_id
    assert second["run"] == "p-2"
    assert "batch" not in second


def test_what_a_use_case_logs_by_the_standard_library_is_structured_too(log: io.StringIO) -> None:
    @lambda_handler
    def handler(event: Event, _context: Context) -> Answer:
        logging.getLogger("penstock.flows.load_batch").warning("passed over", extra={"arrival": "0a1b"})
        return {}

    handler({"plan": "p-1", "batch": 3}, FakeContext())

    line = json.loads(log.getvalue().splitlines()[0])
    assert (line["message"], line["arrival"], line["run"], line["batch"]) == ("passed over", "0a1b", "p-1", 3)


@pytest.mark.parametrize("event", [{}, {"plan": ""}, {"plan": 7}, {"plan": None}])
def test_an_event_without_its_text_is_refused_by_name(event: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match="'plan' must be a text"):
        text(event, "plan")


@pytest.mark.parametrize("event", [{}, {"batch": "0"}, {"batch": -1}, {"batch": True}, {"batch": 1.0}])
def test_an_event_without_its_number_is_refused_by_name(event: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match="'batch' must be a whole number"):
        number(event, "batch")


def test_a_failed_outcome_hands_on_the_message_and_not_the_stack_trace() -> None:
    cause = json.dumps({"errorMessage": "no table", "errorType": "PermanentError", "stackTrace": ["…"]})

    assert outcome({"search": {"status": "failed", "error": "PermanentError", "cause": cause}}, "search") == {
        "status": "failed",
        "error": "PermanentError",
        "cause": "no table",
    }
    assert outcome({"search": {"status": "failed", "error": "States.Timeout", "cause": ""}}, "search") == {
        "status": "failed",
        "error": "States.Timeout",
        "cause": "",
    }
    assert outcome({"search": {"status": "done", "documents": 3}}, "search") == {"status": "done"}


@pytest.mark.parametrize("given", [None, "done", {}, {"status": "running"}])
def test_an_outcome_that_is_none_is_refused(given: object) -> None:
    with pytest.raises(PermanentError, match="'warehouse' must be an outcome"):
        outcome({"warehouse": given}, "warehouse")


FUNCTIONS = sorted(path.parent for path in Path(__file__).parents[2].glob("functions/*/app.py"))


@pytest.mark.parametrize("folder", FUNCTIONS, ids=lambda folder: folder.name)
def test_a_function_imports_nothing_heavy_before_it_is_called(folder: Path) -> None:
    heavy = ["boto3", "psycopg", "opensearchpy", "aws_xray_sdk", "typer", "rich", "penstock.local"]
    code = f"import app, sys; print([name for name in {heavy} if name in sys.modules])"

    answer = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("folder", FUNCTIONS, ids=lambda folder: folder.name)
def test_a_function_is_a_handler_of_under_forty_lines(folder: Path) -> None:
    source = (folder / "app.py").read_text()

    assert len(source.splitlines()) < 40
    assert "@lambda_handler\ndef handler(" in source


def test_traces_are_made_only_where_a_daemon_hears_them() -> None:
    code = (
        "from penstock.handler import lambda_handler\n"
        "import sys\n"
        "lambda_handler(lambda event, context: {})\n"
        "print('aws_xray_sdk' in sys.modules)"
    )
    lambda_like = {**os.environ, "LAMBDA_TASK_ROOT": "/var/task", "AWS_DEFAULT_REGION": "us-east-1"}

    heard = subprocess.run(
        [sys.executable, "-c", code],
        env={**lambda_like, "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000"},
        capture_output=True,
        text=True,
        check=True,
    )
    unheard = subprocess.run([sys.executable, "-c", code], env=lambda_like, capture_output=True, text=True, check=True)

    assert (heard.stdout.strip(), unheard.stdout.strip()) == ("True", "False")
