"""Dead letters: where each came from and why, and what sending it again does. On queues in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from penstock.local.dead_letters import QUEUES, move_arrivals, read, redrive, waiting
from penstock.local.deployment import Deployment

EVENTS = Path(__file__).parents[2] / "events"
ARRIVALS, UNDELIVERED, ASKED = (
    f"https://sqs/123456789012/penstock-{name}" for name in ("Dead", "Lost", "ArrivalsQueue")
)
OUTPUTS = {
    QUEUES["arrivals"]: ARRIVALS,
    QUEUES["undelivered"]: UNDELIVERED,
    "ArrivalsQueueUrl": ASKED,
    "RunTopicArn": "arn:aws:sns:eu-west-1:123456789012:penstock-RunTopic",
    "ReconcileFunction": "penstock-Reconcile",
    "WatchRateFunction": "penstock-WatchRate",
}


def letter(name: str) -> dict[str, Any]:
    read_: dict[str, Any] = json.loads((EVENTS / name).read_text())
    return read_


@dataclass
class Account:
    """SQS, SNS and Lambda, as far as dead letters meet them. `moves` says whether SQS has move tasks."""

    moves: bool = False
    queues: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    log: list[tuple[str, Any]] = field(default_factory=list)
    fails: bool = False

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        free = [one for one in self.queues.get(asked["QueueUrl"], []) if one["ReceiptHandle"] not in self.hidden]
        taken = free[: asked["MaxNumberOfMessages"]]
        self.hidden |= {one["ReceiptHandle"] for one in taken}
        return {"Messages": taken} if taken else {}

    def change_message_visibility(self, **asked: Any) -> None:
        assert asked["VisibilityTimeout"] == 0
        self.hidden.discard(asked["ReceiptHandle"])

    def delete_message(self, **asked: Any) -> None:
        handle, held = asked["ReceiptHandle"], self.queues[asked["QueueUrl"]]
        self.log.append(("delete", handle))
        self.queues[asked["QueueUrl"]] = [one for one in held if one["ReceiptHandle"] != handle]

    def get_queue_attributes(self, **asked: Any) -> dict[str, Any]:
        held = str(len(self.queues.get(asked["QueueUrl"], [])))
        return {"Attributes": {"QueueArn": "arn:dead", "ApproximateNumberOfMessages": held}}

    def start_message_move_task(self, **asked: Any) -> None:
        if not self.moves:
            raise ClientError({"Error": {"Code": "InvalidAction"}}, "StartMessageMoveTask")
        self.log.append(("move", asked["SourceArn"]))

    def send_message(self, **asked: Any) -> None:
        if self.fails:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "SendMessage")
        self.log.append(("send", (asked["QueueUrl"], asked["MessageBody"])))

    def publish(self, **asked: Any) -> None:
        self.log.append(("publish", (asked["TopicArn"], asked["Subject"], asked["Message"])))

    def invoke(self, **asked: Any) -> None:
        self.log.append(("invoke", (asked["FunctionName"], asked["InvocationType"], json.loads(asked["Payload"]))))

    @property
    def deployment(self) -> Deployment:
        return Deployment("penstock", "a test", OUTPUTS, lambda _: self, lambda _: "")


def test_a_rules_letter_names_the_rule_and_its_error_and_asks_for_a_listing_again() -> None:
    sent = letter("dead-letter-rule.json")
    account = Account(queues={UNDELIVERED: [sent]})

    [found] = read(account.deployment, 10)

    assert found.source == "rule penstock-EveryMinute, to penstock-ArrivalsQueue"
    assert found.why == "NO_PERMISSIONS: Access to the resource is denied, after 3 more attempts"
    redrive(account.deployment, 10)
    assert account.log == [("send", (ASKED, sent["Body"])), ("delete", sent["ReceiptHandle"])]
    assert account.queues[UNDELIVERED] == []


@pytest.mark.parametrize("function", ["penstock-Reconcile", "penstock-WatchRate"])
def test_a_functions_letter_is_the_event_that_it_failed_on_and_is_given_to_it_again(function: str) -> None:
    sent = letter("dead-letter-function.json")
    sent["Body"] = sent["Body"].replace("penstock-Reconcile", function)
    account = Account(queues={UNDELIVERED: [sent]})

    [found] = read(account.deployment, 10)

    assert found.source == f"function {function}"
    assert found.why.startswith("RetriesExhausted after 2 invocations: read the load ledger")
    redrive(account.deployment, 10)
    asked = json.loads(sent["Body"])["requestPayload"]
    assert account.log[0] == ("invoke", (function, "Event", asked))


def test_a_custom_resources_letter_stays_and_its_signed_url_is_shown_nowhere() -> None:
    sent = letter("dead-letter-custom-resource.json")
    account = Account(queues={UNDELIVERED: [sent]})

    done, [left] = redrive(account.deployment, 10)

    assert done == []
    assert "deploy again" in left.then
    assert "http" not in json.dumps(left.to_json())
    assert (account.log, account.queues[UNDELIVERED], account.hidden) == ([], [sent], set())


def test_a_subscribers_letter_is_published_again() -> None:
    account = Account(queues={UNDELIVERED: [letter("dead-letter-topic.json")]})

    [found] = read(account.deployment, 10)

    assert found.source == "topic penstock-RunTopic"
    redrive(account.deployment, 10)
    [(what, (_, subject, message)), _] = account.log
    assert (what, subject) == ("publish", "Penstock: 3 files failed")
    assert message.startswith("Run 20260115T101112-345-1a2b3c4d")


def test_what_listings_failed_on_says_what_asked_and_where_to_look() -> None:
    account = Account(queues={ARRIVALS: [letter("dead-letter-arrivals.json")]})

    [found] = read(account.deployment, 10)

    assert found.source == "the arrivals queue (arrival)"
    assert "ListIncoming's log" in found.why


@pytest.mark.parametrize(
    ("old", "new"), [("penstock-Reconcile", "penstock-Gone"), ("requestContext", "x"), ("function:", "layer:")]
)
def test_what_is_of_nobody_stays(old: str, new: str) -> None:
    sent = letter("dead-letter-function.json")
    account = Account(queues={UNDELIVERED: [{**sent, "Body": sent["Body"].replace(old, new)}]})

    done, [left] = redrive(account.deployment, 10)

    assert (done, account.log) == ([], [])
    assert "delete it" in left.then


def test_a_body_that_is_no_json_is_no_error() -> None:
    sent = {**letter("dead-letter-topic.json"), "Body": "no JSON"}
    account = Account(queues={UNDELIVERED: [sent]})

    [found] = read(account.deployment, 10)

    assert found.source.startswith("unknown")


def test_reading_leaves_every_letter_where_it_is_and_shows_each_once() -> None:
    letters = [{**letter("dead-letter-rule.json"), "MessageId": f"{n}", "ReceiptHandle": f"{n}"} for n in range(25)]
    account = Account(queues={UNDELIVERED: list(letters), ARRIVALS: [letter("dead-letter-arrivals.json")]})

    assert len(read(account.deployment, 100)) == 26
    assert len(read(account.deployment, 7)) == 7
    assert account.hidden == set()
    assert waiting(account.deployment) == {"arrivals": 1, "undelivered": 25}


def test_a_letter_that_could_not_be_sent_again_stays_says_why_and_holds_no_other_up() -> None:
    letters = [letter("dead-letter-rule.json"), {**letter("dead-letter-topic.json"), "ReceiptHandle": "another"}]
    account = Account(queues={UNDELIVERED: letters}, fails=True)

    [sent], [left] = redrive(account.deployment, 10)

    assert "was not sent again: An error occurred" in left.then
    assert [kind for kind, _ in account.log] == ["publish", "delete"]
    assert account.queues[UNDELIVERED] == [letter("dead-letter-rule.json")]
    assert (sent.source, account.hidden) == ("topic penstock-RunTopic", {sent.receipt})


def test_sqs_moves_what_listings_failed_on_where_it_can() -> None:
    able = Account(moves=True, queues={ARRIVALS: [letter("dead-letter-arrivals.json")]})
    unable = Account(moves=False, queues={ARRIVALS: [letter("dead-letter-arrivals.json")]})

    assert move_arrivals(able.deployment) == 1
    assert able.log == [("move", "arn:dead")]
    assert move_arrivals(unable.deployment) is None
    assert move_arrivals(Account().deployment) == 0
