"""Firehose's template: where events go, what its role may do, and when somebody is told."""

from __future__ import annotations

from typing import Any

import pytest
from samcli.lib.intrinsic_resolver.intrinsic_property_resolver import IntrinsicResolver
from samcli.lib.intrinsic_resolver.intrinsics_symbol_table import IntrinsicsSymbolTable
from samtranslator.yaml_helper import yaml_parse
from tests.template.deployment import PSEUDO, REPOSITORY, _pruned, deployed, of_type, source

STREAM = "arn:aws:kinesis:eu-west-1:123456789012:stream/events"
BUCKET = "arn:aws:s3:::landing"
VARIANTS = {
    "of a stream": {"StreamArn": STREAM},
    "direct": {},
    "by a field": {"StreamArn": STREAM, "Partition": "type"},
}


def archive(variant: str) -> dict[str, dict[str, Any]]:
    template: dict[str, Any] = yaml_parse((REPOSITORY / "archive" / "template.yaml").read_text())
    given = {
        "Bucket": "landing",
        "TopicArn": "topic",
        "Prefix": "events/",
        "BufferMiB": "128",
        "BufferSeconds": "300",
        "LogRetentionDays": "30",
        **{name: str(one["Default"]) for name, one in template["Parameters"].items() if "Default" in one},
        **VARIANTS[variant],
    }
    symbols = IntrinsicsSymbolTable(
        template=template,
        logical_id_translator={**given, **PSEUDO},
        common_attribute_resolver={"Ref": lambda name: name, "Arn": lambda name: f"{name}.Arn"},
    )
    resolver = IntrinsicResolver(template=template, symbol_resolver=symbols)
    holds = {
        name: resolver.intrinsic_property_resolver(one, ignore_errors=False)
        for name, one in template["Conditions"].items()
    }
    return {
        name: _pruned(resolver.intrinsic_property_resolver(one, ignore_errors=False))
        for name, one in template["Resources"].items()
        if holds.get(one.get("Condition"), True)
    }


def destination(variant: str) -> dict[str, Any]:
    found: dict[str, Any] = archive(variant)["DeliveryStream"]["Properties"]["ExtendedS3DestinationConfiguration"]
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_events_go_below_incoming_by_the_hour_as_gzip_lines_and_what_fails_goes_where_no_run_takes_it(
    variant: str,
) -> None:
    found = destination(variant)

    folder = "type=!{partitionKeyFromQuery:partition}/" if variant == "by a field" else ""
    assert found["Prefix"] == f"incoming/events/{folder}!{{timestamp:yyyy/MM/dd/HH}}/"
    assert found["ErrorOutputPrefix"].startswith("archive-errors/!{firehose:error-output-type}/")
    assert (found["CompressionFormat"], found["FileExtension"]) == ("GZIP", ".jsonl.gz")
    assert found["BufferingHints"] == {"SizeInMBs": "128", "IntervalInSeconds": "300"}
    assert found["ProcessingConfiguration"]["Processors"][-1] == {"Type": "AppendDelimiterToRecord"}


def test_lines_of_an_aggregated_record_are_taken_apart_before_their_field_is_asked_for() -> None:
    kinds = [one["Type"] for one in destination("by a field")["ProcessingConfiguration"]["Processors"]]

    assert kinds == ["RecordDeAggregation", "MetadataExtraction", "AppendDelimiterToRecord"]
    query = destination("by a field")["ProcessingConfiguration"]["Processors"][1]["Parameters"][0]
    assert query["ParameterValue"] == "{partition:.type}"
    assert destination("by a field")["DynamicPartitioningConfiguration"]["Enabled"] is True
    assert "DynamicPartitioningConfiguration" not in destination("of a stream")
    assert "PartitionsAlarm" in archive("by a field")
    assert "PartitionsAlarm" not in archive("of a stream")


def test_it_reads_the_stream_or_takes_events_itself_under_a_key() -> None:
    of_stream, direct = (archive(one)["DeliveryStream"]["Properties"] for one in ("of a stream", "direct"))

    assert of_stream["DeliveryStreamType"] == "KinesisStreamAsSource"
    assert of_stream["KinesisStreamSourceConfiguration"] == {"KinesisStreamARN": STREAM, "RoleARN": "ArchiveRole.Arn"}
    assert "DeliveryStreamEncryptionConfigurationInput" not in of_stream, "the stream's own is used"
    assert direct["DeliveryStreamType"] == "DirectPut"
    assert "KinesisStreamSourceConfiguration" not in direct
    assert direct["DeliveryStreamEncryptionConfigurationInput"] == {"KeyType": "AWS_OWNED_CMK"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_its_role_writes_below_two_prefixes_and_reads_one_stream(variant: str) -> None:
    [policy] = archive(variant)["ArchiveRole"]["Properties"]["Policies"]

    allowed = {
        (action, resource.replace("$", ""))
        for statement in policy["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        for resource in ([statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"])
    }

    of_stream = {
        (f"kinesis:{action}", STREAM) for action in ("DescribeStream", "GetShardIterator", "GetRecords", "ListShards")
    }
    assert allowed == {
        *(
            (f"s3:{action}", f"{BUCKET}/{prefix}*")
            for action in ("PutObject", "GetObject", "AbortMultipartUpload")
            for prefix in ("incoming/events/", "archive-errors/")
        ),
        *((f"s3:{action}", BUCKET) for action in ("GetBucketLocation", "ListBucket", "ListBucketMultipartUploads")),
        ("logs:PutLogEvents", "Logs.Arn"),
        *(of_stream if variant != "direct" else ()),
    }
    [trust] = archive(variant)["ArchiveRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "firehose.amazonaws.com"}
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-kinesisfirehose-deliverystream.html
    assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": "123456789012"}}


@pytest.mark.parametrize("variant", VARIANTS)
def test_somebody_is_told_and_what_to_do(variant: str) -> None:
    alarms = of_type(archive(variant), "AWS::CloudWatch::Alarm")

    assert {alarm["MetricName"] for alarm in alarms.values()} >= {"DeliveryToS3.DataFreshness", "DeliveryToS3.Success"}
    for name, alarm in alarms.items():
        assert [step[:4] for step in alarm["AlarmDescription"].split("\n")[1:]] == ["What", "(1) ", "(2) ", "(3) "], (
            name
        )
        assert len(alarm["AlarmDescription"]) <= 1024, name
        assert alarm["AlarmActions"] == alarm["OKActions"] == ["topic"], name
        assert alarm["Namespace"] == "AWS/Firehose"


def test_the_stack_hands_it_all_that_it_asks_for_and_makes_none_unasked() -> None:
    wanted = yaml_parse((REPOSITORY / "archive" / "template.yaml").read_text())["Parameters"].keys()
    given = source()["Resources"]["EventArchive"]["Properties"]["Parameters"]

    assert given.keys() == wanted
    assert deployed("all of it")["EventArchive"]["Properties"]["Parameters"]["StreamArn"] == "EventStream.Arn"
    direct = deployed("events by Firehose, messages in order")["EventArchive"]["Properties"]["Parameters"]
    assert (direct["StreamArn"], direct["Partition"]) == ("", "type")
    assert "EventArchive" not in deployed("provisioned stream")
