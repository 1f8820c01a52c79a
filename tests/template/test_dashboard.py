"""The dashboard shows metrics that are published, of resources that are deployed."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from tests.template.deployment import REPOSITORY, VARIANTS, deployed

from penstock import metrics as published
from penstock.flows.count_events import Counted


def widgets(variant: str) -> list[dict[str, Any]]:
    body = deployed(variant)["Dashboard"]["Properties"]["DashboardBody"]
    found: list[dict[str, Any]] = json.loads(body)["widgets"]
    return found


def shown(variant: str) -> list[list[str]]:
    """Namespace, name and dimensions of each metric."""
    return [
        [part for part in metric if isinstance(part, str)]
        for widget in widgets(variant)
        if widget["type"] == "metric"
        for metric in widget["properties"]["metrics"]
    ]


def test_two_regions_of_an_account_have_two_dashboards() -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-cloudwatch-dashboard.html"""
    assert deployed("as it comes")["Dashboard"]["Properties"]["DashboardName"] == "penstock-eu-west-1"


@pytest.mark.parametrize("variant", ["as it comes", "provisioned stream", "all of it"])
def test_each_widget_has_a_title_and_a_place_of_its_own(variant: str) -> None:
    places = [(one["x"], one["y"]) for one in widgets(variant)]

    assert len(set(places)) == len(places)
    assert all(one["x"] + one["width"] <= 24 and one["properties"]["title"] for one in widgets(variant))


def test_penstocks_own_metrics_are_those_that_it_publishes() -> None:
    names = set(re.findall(r'"([A-Z]\w+)"', Path(published.__file__).read_text()))

    for namespace, name, *dimensions in shown("as it comes"):
        if namespace == "Penstock":
            assert name in names
            assert dimensions[:2] == ["Stack", "penstock"]


def test_metrics_of_aws_are_of_this_stacks_resources() -> None:
    resources = deployed("as it comes").keys()
    own = [metric for metric in shown("as it comes") if metric[0].startswith("AWS/")]

    assert {metric[0] for metric in own} == {"AWS/States", "AWS/Lambda", "AWS/DynamoDB", "AWS/Logs", "AWS/SQS"}
    for *_, value in own:
        assert value.removesuffix(".QueueName") in resources, value


def test_what_was_settled_is_asked_of_the_logs_in_their_own_words() -> None:
    [query] = [one["properties"]["query"] for one in widgets("as it comes") if one["type"] == "log"]

    assert "SettleBatchLogs" in query
    for field in ("answer.processed", "answer.failed", "answer.put_back"):
        assert field in query


STREAMED = "provisioned stream"


def test_a_stream_has_its_widgets_where_there_is_one() -> None:
    resources = deployed(STREAMED)
    added = [one for one in shown(STREAMED) if one and one not in shown("as it comes")]

    assert {(namespace, name) for namespace, name, *_ in added} == {
        ("AWS/Kinesis", "IncomingRecords"),
        ("AWS/Lambda", "IteratorAge"),
        ("AWS/Lambda", "Errors"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        ("Penstock", "RateEpisodes"),
    }
    for namespace, *_, value in added:
        assert value == "penstock" if namespace == "Penstock" else value.removesuffix(".QueueName") in resources
    assert len(widgets(STREAMED)) == len(widgets("as it comes")) + 6


def test_throttles_are_shown_shard_by_shard_by_a_metric_that_the_stream_publishes() -> None:
    [[expression]] = [
        [part["expression"] for part in metric if isinstance(part, dict) and "expression" in part]
        for widget in widgets(STREAMED)
        for metric in widget["properties"].get("metrics", [])
        if any(isinstance(part, dict) and "expression" in part for part in metric)
    ]

    stream = deployed(STREAMED)["EventStream"]["Properties"]
    [metric] = re.findall(r'MetricName="(\w+)"', expression)
    assert metric in stream["DesiredShardLevelMetrics"]
    assert "{AWS/Kinesis,ShardId,StreamName}" in expression
    assert 'StreamName="EventStream"' in expression


def test_counted_events_are_asked_of_the_log_in_the_words_that_the_function_writes() -> None:
    queries = [one["properties"]["query"] for one in widgets(STREAMED) if one["type"] == "log"]

    [query] = [one for one in queries if "ProcessStreamLogs" in one]
    assert set(re.findall(r"sum\((\w+)\)", query)) <= {field.name for field in fields(Counted)}
    source = (REPOSITORY / "functions" / "process_stream" / "app.py").read_text()
    assert 'logger.info("counted", extra=' in source
    assert "filter message = 'counted'" in query


def test_every_variant_has_it() -> None:
    assert all("Dashboard" in deployed(variant) for variant in VARIANTS)
