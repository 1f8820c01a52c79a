"""The queue's front door: what is delivered is packed or stays, in order or in bulk."""

from __future__ import annotations

from typing import Any

import pytest
from tests.template.deployment import deployed, of_type

VARIANTS = {"all of it": False, "events by Firehose, messages in order": True}


def queue(variant: str, name: str) -> dict[str, Any]:
    return of_type(deployed(variant), "AWS::SQS::Queue")[name]


def test_without_it_nothing_of_it_is_there() -> None:
    assert not [name for name in deployed("provisioned stream") if "Messages" in name]


@pytest.mark.parametrize(("variant", "fifo"), VARIANTS.items())
def test_a_message_is_acknowledged_by_itself_and_given_up_to_a_queue_of_the_same_kind(variant: str, fifo: bool) -> None:
    mapping = of_type(deployed(variant), "AWS::Lambda::EventSourceMapping")["PackMessagesEvents"]

    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BatchSize"] == (10 if fifo else 10_000)
    assert ("MaximumBatchingWindowInSeconds" in mapping) != fifo, "Lambda refuses a window for a FIFO queue"
    for name in ("MessagesQueue", "MessagesDeadLetterQueue"):
        assert queue(variant, name).get("FifoQueue", False) == fifo
        assert queue(variant, name)["SqsManagedSseEnabled"] is True
    redrive = queue(variant, "MessagesQueue")["RedrivePolicy"]
    assert redrive == {"deadLetterTargetArn": "MessagesDeadLetterQueue.Arn", "maxReceiveCount": 5}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_message_is_not_seen_again_while_it_may_still_be_worked(variant: str) -> None:
    mapping = of_type(deployed(variant), "AWS::Lambda::EventSourceMapping")["PackMessagesEvents"]
    function = of_type(deployed(variant), "AWS::Lambda::Function")["PackMessages"]

    longest = 300 if "MaximumBatchingWindowInSeconds" in mapping else 0
    assert queue(variant, "MessagesQueue")["VisibilityTimeout"] >= 6 * function["Timeout"] + longest


@pytest.mark.parametrize("name", ["MessagesDeadLetterAlarm", "MessagesWaitAlarm"])
def test_somebody_is_told_and_what_to_do(name: str) -> None:
    alarm = of_type(deployed("all of it"), "AWS::CloudWatch::Alarm")[name]

    assert "What to do:" in alarm["AlarmDescription"]
    assert len(alarm["AlarmDescription"]) <= 1024
    assert alarm["AlarmActions"] == alarm["OKActions"] == ["RunTopic"]
