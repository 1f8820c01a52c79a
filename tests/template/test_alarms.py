"""Who is told of what, and whether the message helps."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from operator import ge, gt
from typing import Any

import pytest
from tests.template.deployment import deployed, of_type

from penstock.flows.list_incoming import Listing
from penstock.metrics import publish_backlog, publish_breakers, publish_disagreements
from penstock.model.reconciliation import Checked, Reconciliation


def alarms() -> dict[str, dict[str, Any]]:
    return of_type(deployed("as it comes"), "AWS::CloudWatch::Alarm")


def test_what_can_go_wrong_rings() -> None:
    assert alarms().keys() == {
        "BacklogGrowsAlarm",
        "BacklogNotFallingAlarm",
        "SilentDatasetsAlarm",
        "FilesNotSettledAlarm",
        "RunsFailAlarm",
        "ListingFailsAlarm",
        "ArrivalsWaitAlarm",
        "ArrivalsDeadLetterAlarm",
        "UndeliveredAlarm",
        "DisagreementsAlarm",
    }


@pytest.mark.parametrize("down", ["search", "search/flights"])
def test_a_destination_that_is_down_rings_by_the_metric_that_a_listing_publishes(
    capsys: pytest.CaptureFixture[str], down: str
) -> None:
    alarms = of_type(deployed("all of it"), "AWS::CloudWatch::Alarm")
    assert not {"WarehouseDownAlarm", "SearchDownAlarm"} & deployed("as it comes").keys()

    publish_breakers("penstock", {down})

    values = {}
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        [directive] = line["_aws"]["CloudWatchMetrics"]
        values[directive["Namespace"], line["Stack"], line["Destination"]] = line["BreakerOpen"]
    for name, expected in (("WarehouseDownAlarm", [0.0]), ("SearchDownAlarm", [1.0])):
        dimensions = {one["Name"]: one["Value"] for one in alarms[name]["Dimensions"]}
        assert alarms[name]["MetricName"] == "BreakerOpen"
        assert values[alarms[name]["Namespace"], dimensions["Stack"], dimensions["Destination"]] == expected


@pytest.mark.parametrize(
    ("name", "listing", "value"),
    [
        ("BacklogGrowsAlarm", {"growing_minutes": 30.0}, 30.0),
        ("BacklogNotFallingAlarm", {"stuck_minutes": 30.0}, 30.0),
        ("SilentDatasetsAlarm", {"silent": {"flights": True, "weather": True, "planes": False}}, 2.0),
        ("RunsFailAlarm", {"ended_badly": 3}, 3.0),
        ("FilesNotSettledAlarm", {"not_settled": 2}, 2.0),
    ],
)
def test_what_a_listing_publishes_rings_and_nothing_does_when_all_is_well(
    name: str, listing: dict[str, Any], value: float, capsys: pytest.CaptureFixture[str]
) -> None:
    alarm = alarms()[name]
    rings = {"GreaterThanOrEqualToThreshold": ge, "GreaterThanThreshold": gt}[alarm["ComparisonOperator"]]

    for fields, expected in ((listing, value), ({}, 0.0)):
        publish_backlog("penstock", Listing(listed=True, at=datetime.now(UTC), backlog={}, **fields))

        published = json.loads(capsys.readouterr().out.splitlines()[0])
        [directive] = published["_aws"]["CloudWatchMetrics"]
        assert alarm["Namespace"] == directive["Namespace"]
        assert [{one["Name"] for one in alarm["Dimensions"]}] == [set(one) for one in directive["Dimensions"]]
        assert {one["Name"]: one["Value"] for one in alarm["Dimensions"]} == {"Stack": published["Stack"]}
        assert published[alarm["MetricName"]] == [expected]
        assert rings(expected, float(alarm["Threshold"])) is bool(fields)


def test_no_alarm_computes_since_not_every_engine_does() -> None:
    assert not [name for name, alarm in alarms().items() if "Metrics" in alarm]


def test_the_disagreements_alarm_reads_the_metric_that_reconcile_publishes(capsys: pytest.CaptureFixture[str]) -> None:
    alarm = alarms()["DisagreementsAlarm"]
    at = datetime.now(UTC)

    publish_disagreements("penstock", Reconciliation(at, at, checked={"flights": Checked(disagreements=2)}))

    whole, of_dataset = map(json.loads, capsys.readouterr().out.splitlines())
    [directive] = whole["_aws"]["CloudWatchMetrics"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (directive["Namespace"], directive["Metrics"][0]["Name"])
    assert [{one["Name"] for one in alarm["Dimensions"]}] == [set(one) for one in directive["Dimensions"]]
    assert (whole["Stack"], whole["Disagreements"]) == (alarm["Dimensions"][0]["Value"], [2.0])
    assert (of_dataset["Dataset"], of_dataset["Disagreements"]) == ("flights", [2.0])


def test_whatever_ended_a_run_what_it_held_is_listed_again() -> None:
    rule = deployed("as it comes")["EndedRuns"]["Properties"]

    assert rule["EventPattern"] == {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {
            "status": ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"],
            "stateMachineArn": ["IngestStateMachine", "BackfillStateMachine"],
        },
    }
    assert [target["Arn"] for target in rule["Targets"]] == ["ArrivalsQueue.Arn"]


def test_runs_that_no_catch_sees_are_told() -> None:
    rule = deployed("as it comes")["FailedRuns"]["Properties"]

    assert rule["EventPattern"]["detail"] == {
        "status": ["FAILED", "TIMED_OUT", "ABORTED"],
        "stateMachineArn": ["IngestStateMachine", "BackfillStateMachine"],
    }
    assert [target["Arn"] for target in rule["Targets"]] == ["RunTopic"]


def test_rules_and_this_stacks_alarms_publish_to_the_topic() -> None:
    """EventBridge gives a topic's policy nothing to look at, so a condition would keep its every message out:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions"""
    statements = deployed("warehouse")["RunTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]

    sources = {
        statement["Principal"]["Service"]: statement.get("Condition")
        for statement in statements
        if statement["Effect"] == "Allow"
    }

    assert sources == {
        "events.amazonaws.com": None,
        "cloudwatch.amazonaws.com": {
            "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:penstock-*"}
        },
    }


def test_an_address_is_subscribed_only_when_one_is_given() -> None:
    assert "NotificationSubscription" not in deployed("as it comes")
    assert deployed("told by mail, protected")["NotificationSubscription"]["Properties"] == {
        "TopicArn": "RunTopic",
        "Protocol": "email",
        "Endpoint": "ops@example.com",
        "RedrivePolicy": {"deadLetterTargetArn": "UndeliveredQueue.Arn"},
    }
