"""What `Watches` promises, of the fake and of DynamoDB (MiniStack); and that a notice reaches a topic's queue."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.contract.engines import client
from tests.fakes.watches import FakeWatches

from penstock.adapters.dynamodb_watches import DynamoWatches
from penstock.adapters.sns import SnsNotices
from penstock.model.episodes import Episode, Notice, Watch
from penstock.ports.watches import Watches

TEN = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
NOTICE = Notice("flights/low/2026-01-15T10:00Z", "low", "Penstock: flights is low", "3 events.")
KNOWN = Watch(TEN, Episode(NOTICE.episode, "low", 2), (NOTICE,), TEN + timedelta(minutes=2))


@pytest.fixture(params=["fake", "dynamodb"])
def watches(request: pytest.FixtureRequest) -> Watches:
    if request.param == "fake":
        return FakeWatches()
    return DynamoWatches(request.getfixturevalue("dynamodb"), request.getfixturevalue("table"))


def test_nothing_is_known_of_a_rate_that_was_never_judged(watches: Watches) -> None:
    assert watches.read("flights") == Watch()


def test_what_is_written_is_read_as_the_next_version(watches: Watches) -> None:
    assert watches.write("flights", KNOWN)
    assert watches.read("flights") == replace(KNOWN, version=1)

    assert watches.write("flights", Watch(TEN, version=1))
    assert watches.read("flights") == Watch(TEN, version=2)
    assert watches.read("weather") == Watch()


@pytest.mark.parametrize("version", [0, 2])
def test_of_two_that_judge_at_once_one_is_refused(watches: Watches, version: int) -> None:
    watches.write("flights", KNOWN)

    assert not watches.write("flights", Watch(version=version))
    assert watches.read("flights") == replace(KNOWN, version=1)


def test_a_notice_reaches_whoever_subscribes_with_its_episode(aws: str) -> None:
    sns, sqs = client("sns", aws), client("sqs", aws)
    topic = sns.create_topic(Name="rates")["TopicArn"]
    queue = sqs.create_queue(QueueName="rates")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    SnsNotices(sns, topic).tell(NOTICE)

    (received,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
    body: Any = json.loads(received["Body"])
    assert (body["Subject"], body["Message"]) == (NOTICE.subject, NOTICE.text)
    assert body["MessageAttributes"]["episode"]["Value"] == NOTICE.episode
