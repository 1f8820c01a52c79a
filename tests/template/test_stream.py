"""The stream: there when it is asked for, and mapped so that no record is lost and none holds up a shard."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.template.deployment import deployed, of_type

from penstock.flows.watch_rate import TELLING, Watched
from penstock.metrics import publish_rates

VARIANTS = {"all of it": "ON_DEMAND", "provisioned stream": "PROVISIONED"}
OF_THE_STREAM = {
    "AWS::Kinesis::Stream": {"EventStream"},
    "AWS::DynamoDB::Table": {"LeaseTable", "CountsTable"},
    "AWS::CloudWatch::Alarm": {
        "StreamThrottledAlarm",
        "HotShardBytesAlarm",
        "HotShardRecordsAlarm",
        "StreamBehindAlarm",
        "StreamFailsAlarm",
        "StreamDeadLetterAlarm",
        "RatesUnwatchedAlarm",
    },
}


def mapping(variant: str) -> dict[str, Any]:
    return of_type(deployed(variant), "AWS::Lambda::EventSourceMapping")["ProcessStreamEvents"]


def test_silence_rings_by_missing_data_unless_nobody_wants_to_know() -> None:
    alarms = of_type(deployed("all of it"), "AWS::CloudWatch::Alarm")

    silent = alarms["StreamSilentAlarm"]
    assert (silent["Namespace"], silent["MetricName"]) == ("AWS/Kinesis", "IncomingRecords")
    assert silent["Dimensions"] == [{"Name": "StreamName", "Value": "EventStream"}]
    assert (silent["Statistic"], silent["ComparisonOperator"]) == ("Sum", "LessThanThreshold")
    assert (silent["Threshold"], silent["TreatMissingData"]) == (1, "breaching")
    assert int(silent["EvaluationPeriods"]) * silent["Period"] == 3600
    assert "StreamSilentAlarm" not in deployed("provisioned stream")


def test_records_that_nobody_is_invoked_for_ring_though_nothing_fails() -> None:
    alarm = of_type(deployed("all of it"), "AWS::CloudWatch::Alarm")["StreamUncountedAlarm"]

    told, came, invoked = alarm["Metrics"]
    assert told["Expression"] == "IF(FILL(came, 0) > 0 AND FILL(invoked, 0) < 1, 1, 0)"
    looked_at = [(one["Id"], one["MetricStat"]["Metric"]["MetricName"], one["ReturnData"]) for one in (came, invoked)]
    assert looked_at == [("came", "IncomingRecords", False), ("invoked", "Invocations", False)]
    window = int(mapping("all of it")["MaximumBatchingWindowInSeconds"])
    assert alarm["EvaluationPeriods"] * came["MetricStat"]["Period"] == 900 > window
    assert "StreamUncountedAlarm" not in deployed("provisioned stream"), "of records that a filter drops nobody is"


def test_rates_are_looked_at_every_minute_and_it_rings_when_they_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    resources = deployed("all of it")
    alarm = of_type(resources, "AWS::CloudWatch::Alarm")["RatesUnwatchedAlarm"]

    publish_rates("penstock", 3, Watched())

    published = json.loads(capsys.readouterr().out)
    assert published["RatesWatched"] == [3.0]
    assert {one["Name"]: one["Value"] for one in alarm["Dimensions"]} == {"Stack": published["Stack"]}
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == ("RatesWatched", "SampleCount", 1)
    assert (alarm["ComparisonOperator"], alarm["TreatMissingData"]) == ("LessThanThreshold", "breaching")
    rule = of_type(resources, "AWS::Events::Rule")["WatchRateRule"]
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    assert [target["Arn"] for target in rule["Targets"]] == ["WatchRate.Arn"]
    function = of_type(resources, "AWS::Lambda::Function")["WatchRate"]
    assert timedelta(seconds=function["Timeout"]) < TELLING, "or two would tell of the same"


def test_without_a_stream_nothing_of_it_is_there() -> None:
    resources = deployed("as it comes")

    assert not [name for name in resources if any(part in name for part in ("Stream", "Shard", "CountsTable", "Rate"))]


@pytest.mark.parametrize(("variant", "mode"), VARIANTS.items())
def test_a_stream_is_encrypted_and_measured_by_shard(variant: str, mode: str) -> None:
    stream = of_type(deployed(variant), "AWS::Kinesis::Stream")["EventStream"]

    assert stream["StreamModeDetails"] == {"StreamMode": mode}
    assert stream.get("ShardCount") == (None if mode == "ON_DEMAND" else "4")
    assert stream["StreamEncryption"] == {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
    alarmed = {"IncomingBytes", "IncomingRecords", "WriteProvisionedThroughputExceeded"}
    assert set(stream["DesiredShardLevelMetrics"]) == alarmed
    for kind, names in OF_THE_STREAM.items():
        assert names <= of_type(deployed(variant), kind).keys()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_mapping_gives_up_in_time_to_read_back_what_it_gave_up(variant: str) -> None:
    found = mapping(variant)

    assert found["StartingPosition"] == "TRIM_HORIZON"
    assert found["ParallelizationFactor"] == 1
    assert found["BisectBatchOnFunctionError"] is True
    assert found["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert found["DestinationConfig"] == {"OnFailure": {"Destination": "StreamDeadLetterQueue.Arn"}}
    assert int(found["MaximumRetryAttempts"]) > 0
    stream = of_type(deployed(variant), "AWS::Kinesis::Stream")["EventStream"]
    assert 0 < int(found["MaximumRecordAgeInSeconds"]) <= int(stream["RetentionPeriodHours"]) * 3600 / 2


def test_a_filter_is_set_only_when_one_is_given() -> None:
    assert "FilterCriteria" not in mapping("all of it")
    assert mapping("provisioned stream")["FilterCriteria"] == {
        "Filters": [{"Pattern": '{"data": {"type": ["click"]}}'}]
    }


@pytest.mark.parametrize(
    "name", sorted(OF_THE_STREAM["AWS::CloudWatch::Alarm"] | {"StreamSilentAlarm", "StreamUncountedAlarm"})
)
def test_each_of_its_alarms_says_what_to_do_and_tells_the_topic(name: str) -> None:
    alarm = of_type(deployed("all of it"), "AWS::CloudWatch::Alarm")[name]

    assert "What to do:" in alarm["AlarmDescription"]
    assert len(alarm["AlarmDescription"]) <= 1024, "CloudWatch takes no more"
    assert alarm["AlarmActions"] == alarm["OKActions"] == ["RunTopic"]


@pytest.mark.parametrize("name", ["StreamThrottledAlarm", "HotShardBytesAlarm", "HotShardRecordsAlarm"])
def test_shards_are_looked_at_one_by_one_by_metrics_that_the_stream_publishes(name: str) -> None:
    resources = deployed("all of it")
    [metric] = of_type(resources, "AWS::CloudWatch::Alarm")[name]["Metrics"]

    query = metric["Expression"]
    assert 'FROM SCHEMA("AWS/Kinesis", ShardId, StreamName)' in query
    published = of_type(resources, "AWS::Kinesis::Stream")["EventStream"]["DesiredShardLevelMetrics"]
    assert any(f"SUM({one})" in query for one in published)
    assert ("GROUP BY ShardId" in query) == name.startswith("Hot")
