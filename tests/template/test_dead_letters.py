"""Every asynchronous edge has somewhere to put what fails, and an alarm on it.

The edges are found in what CloudFormation would see, by what AWS does asynchronously, and not by a list of ours: a
resource that is added without a dead-letter queue fails here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from tests.template.deployment import VARIANTS, deployed, of_type

from penstock.flows.reconcile_in_parts import FACTS, LONGEST, Portion

Resources = dict[str, dict[str, Any]]


def edges(resources: Resources) -> Iterator[tuple[str, str | None]]:
    """Each asynchronous edge, and the ARN of where it puts what fails."""
    for name, rule in of_type(resources, "AWS::Events::Rule").items():
        for target in rule["Targets"]:
            yield f"rule {name} to {target['Id']}", target.get("DeadLetterConfig", {}).get("Arn")
    for name, schedule in of_type(resources, "AWS::Scheduler::Schedule").items():
        yield f"schedule {name}", schedule["Target"].get("DeadLetterConfig", {}).get("Arn")
    for name, pipe in of_type(resources, "AWS::Pipes::Pipe").items():
        yield f"pipe {name}", pipe.get("DeadLetterConfig", {}).get("Arn")
    for name, subscription in of_type(resources, "AWS::SNS::Subscription").items():
        yield f"subscription {name}", subscription.get("RedrivePolicy", {}).get("deadLetterTargetArn")
    for name, topic in of_type(resources, "AWS::SNS::Topic").items():
        for place, _ in enumerate(topic.get("Subscription", [])):
            yield f"subscription {place} of {name}, which can have none there", None
    for name, mapping in of_type(resources, "AWS::Lambda::EventSourceMapping").items():
        source = mapping["EventSourceArn"].removesuffix(".Arn")
        if resources.get(source, {}).get("Type") == "AWS::SQS::Queue":
            given = resources[source]["Properties"].get("RedrivePolicy", {}).get("deadLetterTargetArn")
        else:
            given = mapping.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        yield f"event source mapping {name}", given
    for function in sorted(invoked_asynchronously(resources)):
        yield f"function {function}", on_failure(resources).get(function)


def invoked_asynchronously(resources: Resources) -> set[str]:
    """Functions that a rule, a bucket, a topic or CloudFormation invokes: none of them waits for an answer."""
    by_service = {
        permission["FunctionName"].removesuffix(".Arn")
        for permission in of_type(resources, "AWS::Lambda::Permission").values()
        if permission["Principal"] not in ("apigateway.amazonaws.com", "elasticloadbalancing.amazonaws.com")
    }
    custom = {
        resource["Properties"]["ServiceToken"].removesuffix(".Arn")
        for resource in resources.values()
        if resource["Type"].startswith("Custom::") or resource["Type"] == "AWS::CloudFormation::CustomResource"
    }
    return by_service | custom


def on_failure(resources: Resources) -> dict[str, str]:
    return {
        config["FunctionName"]: config["DestinationConfig"]["OnFailure"]["Destination"]
        for config in of_type(resources, "AWS::Lambda::EventInvokeConfig").values()
    }


def alarmed(resources: Resources) -> set[str]:
    """ARNs of the queues of which an alarm says that there is a message."""
    return {
        dimension["Value"].replace(".QueueName", ".Arn")
        for alarm in of_type(resources, "AWS::CloudWatch::Alarm").values()
        if alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible"
        and (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
        for dimension in alarm["Dimensions"]
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_asynchronous_edge_has_a_dead_letter_queue_with_an_alarm_on_it(variant: str) -> None:
    resources = deployed(variant)

    for edge, dead_letters in edges(resources):
        assert dead_letters is not None, f"{edge} has nowhere to put what fails"
        assert resources[dead_letters.removesuffix(".Arn")]["Type"] == "AWS::SQS::Queue", edge
        assert dead_letters in alarmed(resources), f"no alarm watches {dead_letters}, where {edge} puts what fails"


def test_the_edges_that_there_are_are_found() -> None:
    resources = {**deployed("all of it")}

    assert {edge for edge, _ in edges(resources)} == {
        "rule EveryMinute to arrivals",
        "rule EndedRuns to arrivals",
        "rule FailedRuns to topic",
        "rule FailedRebuilds to topic",
        "rule ReconcileRule to reconcile",
        "rule ReconcileGoesOn to reconcile",
        "rule WatchRateRule to watch_rate",
        "subscription NotificationSubscription",
        "event source mapping ListIncomingArrivals",
        "event source mapping ProcessStreamEvents",
        "event source mapping PackMessagesEvents",
        "function ApplyDatasets",
        "function Reconcile",
        "function WatchRate",
    }


def test_an_edge_without_a_queue_would_be_found() -> None:
    resources = deployed("all of it")
    resources["EveryMinute"]["Properties"]["Targets"][0].pop("DeadLetterConfig")
    resources["ReconcileEventInvokeConfig"]["Properties"]["FunctionName"] = "Another"
    resources["ArrivalsQueue"]["Properties"].pop("RedrivePolicy")

    without = {edge for edge, dead_letters in edges(resources) if dead_letters is None}

    assert without == {
        "rule EveryMinute to arrivals",
        "event source mapping ListIncomingArrivals",
        "function Reconcile",
    }


def test_a_notification_of_the_bucket_goes_to_a_queue_and_to_nothing_that_could_drop_it() -> None:
    notifications = deployed("all of it")["LandingBucket"]["Properties"]["NotificationConfiguration"]

    assert notifications.keys() == {"QueueConfigurations"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_rule_gives_up_some_time(variant: str) -> None:
    for name, rule in of_type(deployed(variant), "AWS::Events::Rule").items():
        for target in rule["Targets"]:
            assert target["RetryPolicy"].keys() == {"MaximumRetryAttempts", "MaximumEventAgeInSeconds"}, name


def test_only_what_this_stack_has_may_put_something_there() -> None:
    document = deployed("as it comes")["UndeliveredQueuePolicy"]["Properties"]["PolicyDocument"]

    allowed = {
        statement["Principal"]["Service"]: (statement["Action"], statement["Condition"])
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
    }

    assert allowed == {
        "events.amazonaws.com": (
            "sqs:SendMessage",
            {"ArnLike": {"aws:SourceArn": "arn:aws:events:eu-west-1:123456789012:rule/penstock-*"}},
        ),
        "sns.amazonaws.com": ("sqs:SendMessage", {"ArnEquals": {"aws:SourceArn": "RunTopic"}}),
    }


def test_dead_letters_are_kept_for_two_weeks_longer_than_what_they_came_from() -> None:
    queues = of_type(deployed("as it comes"), "AWS::SQS::Queue")

    for name in ("ArrivalsDeadLetterQueue", "UndeliveredQueue"):
        assert queues[name]["MessageRetentionPeriod"] == 1209600


def test_reconcile_is_scheduled_unless_told_otherwise() -> None:
    rule = deployed("as it comes")["ReconcileRule"]["Properties"]

    assert rule["ScheduleExpression"] == "rate(1 day)"
    assert [target["Arn"] for target in rule["Targets"]] == ["Reconcile.Arn"]
    assert not {"ReconcileRule", "ReconcileRulePermission"} & deployed("reconciled by hand").keys()
    assert not {"ReconcileGoesOn", "ReconcileGoesOnPermission"} & deployed("reconciled by hand").keys()
    assert "Reconcile" in deployed("reconciled by hand")


def test_a_reconcile_goes_on_before_what_it_has_read_expires_and_ends_a_call_before_the_next() -> None:
    stack = deployed("as it comes")
    goes_on, function = stack["ReconcileGoesOn"]["Properties"], stack["Reconcile"]["Properties"]
    rules = {rule["Id"]: rule for rule in stack["LandingBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]}

    assert goes_on["ScheduleExpression"] == "rate(15 minutes)"
    assert [json.loads(target["Input"]) for target in goes_on["Targets"]] == [{"goes_on": True}]
    assert Portion().judging + timedelta(minutes=2) < timedelta(seconds=function["Timeout"]) <= timedelta(minutes=15)
    assert Portion().reading < Portion().judging
    assert rules["expire-facts"]["Prefix"] == FACTS
    assert timedelta(days=rules["expire-facts"]["ExpirationInDays"]) > LONGEST + timedelta(days=1)
