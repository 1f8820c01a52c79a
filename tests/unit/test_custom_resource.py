from __future__ import annotations

import http.server
import json
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from functions.apply_datasets.app import handler
from tests.lambda_context import FakeContext

from penstock import wiring
from penstock.custom_resource import answer_cloudformation, once_it_is_up
from penstock.model.errors import DestinationDownError, PermanentError

EVENT = json.loads((Path(__file__).parents[2] / "events" / "apply-datasets.json").read_text())


class CloudFormation:
    """Where answers are sent to. `refuses` is how many it turns down first."""

    def __init__(self) -> None:
        self.answers: queue.Queue[tuple[dict[str, Any], str]] = queue.Queue()
        self.sizes: queue.Queue[int] = queue.Queue()
        self.refuses = 0
        outer = self

        class Receiver(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.refuses:
                    outer.refuses -= 1
                    self.send_response(503)
                else:
                    outer.sizes.put(len(body))
                    outer.answers.put((json.loads(body), self.headers["Content-Type"]))
                    self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)

    def event(self, **changes: str) -> dict[str, Any]:
        return {**EVENT, "ResponseURL": f"http://127.0.0.1:{self.server.server_port}/answer", **changes}

    def answer(self) -> dict[str, Any]:
        return self.answers.get(timeout=10)[0]


@pytest.fixture
def cloudformation() -> Iterator[CloudFormation]:
    made = CloudFormation()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_success_is_answered_with_all_that_cloudformation_asks_for(cloudformation: CloudFormation) -> None:
    answer_cloudformation(cloudformation.event(), FakeContext(), "penstock-datasets", lambda: {"Did": 3})

    answer, content_type = cloudformation.answers.get(timeout=10)
    assert answer == {
        "Status": "SUCCESS",
        "Reason": "",
        "PhysicalResourceId": "penstock-datasets",
        "StackId": EVENT["StackId"],
        "RequestId": EVENT["RequestId"],
        "LogicalResourceId": EVENT["LogicalResourceId"],
        "Data": {"Did": 3},
    }
    assert content_type == ""


def test_failure_is_answered_with_its_reason_and_not_raised(cloudformation: CloudFormation) -> None:
    def work() -> dict[str, Any]:
        raise PermanentError("table public.flights has no column dest " + "x" * 5_000)

    answer_cloudformation(cloudformation.event(), FakeContext(), "penstock-datasets", work)

    answer = cloudformation.answer()
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("table public.flights has no column dest")
    assert len(json.dumps(answer)) < 4_096


def test_a_reason_in_other_letters_fits_an_answer_too(cloudformation: CloudFormation) -> None:
    def work() -> dict[str, Any]:
        raise PermanentError("列名" * 1_000)

    answer_cloudformation(cloudformation.event(), FakeContext(), "penstock-datasets", work)

    answer, size = cloudformation.answers.get(timeout=10)[0], cloudformation.sizes.get(timeout=10)
    assert answer["Reason"].startswith("列名")
    assert size < 4_096


def test_a_destination_that_was_made_a_moment_ago_is_waited_for() -> None:
    answers: list[Exception | int] = [DestinationDownError("warehouse", "nobody is let in yet"), 3]

    def work() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert once_it_is_up(work, seconds=60, pause=0) == 3


def test_a_destination_that_stays_down_is_given_up_on_with_its_reason() -> None:
    tried: list[int] = []

    def work() -> None:
        tried.append(1)
        raise DestinationDownError("warehouse", "nobody is let in")

    with pytest.raises(DestinationDownError, match="nobody is let in"):
        once_it_is_up(work, seconds=0, pause=0)

    assert len(tried) == 1


def test_what_no_waiting_mends_is_not_waited_for() -> None:
    def work() -> None:
        raise PermanentError("table public.flights has no column dest")

    with pytest.raises(PermanentError):
        once_it_is_up(work, seconds=60)


def test_an_update_keeps_the_physical_id_so_that_nothing_is_replaced(cloudformation: CloudFormation) -> None:
    update = cloudformation.event(RequestType="Update", PhysicalResourceId="made-long-ago")

    answer_cloudformation(update, FakeContext(), "penstock-datasets", dict)

    assert cloudformation.answer()["PhysicalResourceId"] == "made-long-ago"


def test_work_that_would_outlive_the_function_is_answered_for_before_it_ends(cloudformation: CloudFormation) -> None:
    answered = []

    def work() -> dict[str, Any]:
        answered.append(cloudformation.answer())
        return {}

    answer_cloudformation(cloudformation.event(), FakeContext(remaining_milliseconds=10_050), "penstock-datasets", work)

    assert answered[0]["Status"] == "FAILED"
    assert "longer than the function's timeout" in answered[0]["Reason"]
    assert cloudformation.answers.empty()


def test_an_answer_that_is_turned_down_is_sent_again(cloudformation: CloudFormation) -> None:
    cloudformation.refuses = 2

    answer_cloudformation(cloudformation.event(), FakeContext(), "penstock-datasets", dict)

    assert cloudformation.answer()["Status"] == "SUCCESS"


def test_a_deploy_whose_stack_is_wrongly_set_up_is_answered_too(
    cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise PermanentError("the function's environment is refused: PENSTOCK_BUCKET: Field required")

    monkeypatch.setattr(wiring, "schema", refuse)

    assert handler(cloudformation.event(), FakeContext()) == {}

    assert "PENSTOCK_BUCKET" in cloudformation.answer()["Reason"]


def test_deleting_the_stack_touches_no_table(cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("the warehouse was asked")

    monkeypatch.setattr(wiring, "schema", refuse)

    handler(cloudformation.event(RequestType="Delete", PhysicalResourceId="penstock-datasets"), FakeContext())

    assert cloudformation.answer()["Status"] == "SUCCESS"
