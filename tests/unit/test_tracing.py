"""What a traced function tells X-Ray's daemon and passes on: lister, state machine and loaders are one trace."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

ROOT, PARENT = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
PATIENCE = 60
"""Seconds; a machine may be slow."""
FUNCTION = """
import sys
import boto3
from tests.lambda_context import FakeContext
from penstock.adapters.stepfunctions import StepFunctionsRuns
from penstock.handler import lambda_handler

@lambda_handler
def handler(event, context):
    client = boto3.client("stepfunctions", endpoint_url=sys.argv[1])
    StepFunctionsRuns(client, "arn:aws:states:us-east-1:123456789012:stateMachine:ingest").start("run-1", 1)
    return {}

handler({"plan": "run-1", "batch": 7}, FakeContext())
"""


@pytest.fixture
def daemon() -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(PATIENCE)
        yield bound


@pytest.fixture
def step_functions() -> Iterator[HTTPServer]:
    """Takes any call, and keeps its headers in `heard`."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(dict(self.headers))
            body = b'{"executionArn": "arn:x", "startDate": 0}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Not to stderr."""

    heard: list[dict[str, str]] = []
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        server.heard = heard  # type: ignore[attr-defined] # A place to keep it.
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_run_belongs_to_the_trace_of_the_listing_that_started_it_and_is_found_by_its_run_and_batch(
    daemon: socket.socket, step_functions: HTTPServer
) -> None:
    list_incoming(step_functions, AWS_XRAY_DAEMON_ADDRESS=f"127.0.0.1:{daemon.getsockname()[1]}")

    started, handled = subsegment(daemon), subsegment(daemon)  # The one that ends first is told first.
    assert (handled["trace_id"], handled["parent_id"]) == (ROOT, PARENT)
    assert {name: handled["annotations"][name] for name in ("run", "batch")} == {"run": "run-1", "batch": 7}
    assert (started["trace_id"], started["parent_id"]) == (ROOT, handled["id"])
    assert started["aws"]["operation"] == "StartExecution"
    assert passed_on(step_functions) == {"Root": ROOT, "Parent": started["id"], "Sampled": "1"}


def test_without_the_sdk_the_run_belongs_to_the_listings_trace_as_well(step_functions: HTTPServer) -> None:
    list_incoming(step_functions)

    assert passed_on(step_functions) == {"Root": ROOT, "Parent": PARENT, "Sampled": "1"}


def list_incoming(step_functions: HTTPServer, **more: str) -> None:
    """As Lambda calls it. It has the SDK where it names a daemon."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "POWERTOOLS_"))},
        "_X_AMZN_TRACE_ID": f"Root={ROOT};Parent={PARENT};Sampled=1",
        "LAMBDA_TASK_ROOT": "/var/task",
        "AWS_LAMBDA_FUNCTION_NAME": "list_incoming",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    endpoint = f"http://127.0.0.1:{step_functions.server_port}"
    command = [sys.executable, "-c", FUNCTION, endpoint]
    subprocess.run(command, env=environment | more, check=True, capture_output=True)


def passed_on(step_functions: HTTPServer) -> dict[str, str]:
    """What Step Functions was told of the trace."""
    (headers,) = step_functions.heard  # type: ignore[attr-defined] # The fixture's list.
    return dict(part.split("=", 1) for part in headers["X-Amzn-Trace-Id"].split(";"))


def subsegment(daemon: socket.socket) -> dict[str, Any]:
    """A datagram begins with a line of the protocol's version."""
    found: dict[str, Any] = json.loads(daemon.recv(65_536).split(b"\n", 1)[1])
    return found
