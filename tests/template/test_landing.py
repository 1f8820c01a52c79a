"""The landing bucket and the way from it to the listing."""

from __future__ import annotations

from typing import Any

import pytest
from tests.template.deployment import VARIANTS, deployed, of_type, source

from penstock.adapters.redshift.staging import copies_prefix
from penstock.flows.reconcile_in_parts import FACTS

COPIES = copies_prefix("").removesuffix("/")
"""What COPY reads: the bytes of every file that Redshift loads, a second time."""


def bucket(variant: str = "as it comes") -> dict[str, Any]:
    return deployed(variant)["LandingBucket"]


def lifecycle(variant: str) -> dict[str, dict[str, Any]]:
    rules = bucket(variant)["Properties"]["LifecycleConfiguration"]["Rules"]
    return {rule["Id"]: rule for rule in rules}


def expirations(variant: str) -> dict[str, Any]:
    """Days by prefix."""
    return {
        rule["Prefix"]: rule["ExpirationInDays"] for rule in lifecycle(variant).values() if "ExpirationInDays" in rule
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_rule_ever_expires_what_is_below_incoming(variant: str) -> None:
    for rule in lifecycle(variant).values():
        if "ExpirationInDays" in rule or "NoncurrentVersionExpiration" in rule:
            assert rule["Prefix"] in {"processed/", "failed/", "plans/", COPIES, FACTS}, rule["Id"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_changes_its_storage_class(variant: str) -> None:
    for rule in lifecycle(variant).values():
        assert not [key for key in rule if "Transition" in key], rule["Id"]


def test_settled_files_stay_for_ever_unless_a_parameter_says_otherwise() -> None:
    passing = {COPIES: 2, FACTS: 5}
    assert expirations("as it comes") == {"plans/": "90", **passing}
    assert expirations("nothing expires") == passing
    assert expirations("everything expires") == {"processed/": "14", "failed/": "15", "plans/": "7", **passing}


def test_noncurrent_versions_delete_markers_and_half_uploads_are_cleaned() -> None:
    rules = lifecycle("nothing expires")

    assert {rule["Prefix"] for rule in rules.values() if "NoncurrentVersionExpiration" in rule} == {
        "processed/",
        "failed/",
        "plans/",
    }
    [rest] = [rule for rule in rules.values() if rule["Prefix"] == ""]
    assert rest["ExpiredObjectDeleteMarker"] is True
    assert rest["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert {rule["Status"] for rule in rules.values()} == {"Enabled"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_rule_does_something_that_cloudformation_knows_as_a_rules_work(variant: str) -> None:
    """It takes no rule that only expires delete markers, though S3 does:
    https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1124"""
    work = {"ExpirationInDays", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"}

    for rule in lifecycle(variant).values():
        assert work & rule.keys(), rule["Id"]


def test_the_bucket_is_versioned_encrypted_private_and_outlives_the_stack() -> None:
    properties = bucket()["Properties"]

    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    [encryption] = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert bucket()["DeletionPolicy"] == "RetainExceptOnCreate"
    assert bucket()["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("variant", VARIANTS)
def test_plain_http_is_denied_to_everyone_on_bucket_topic_and_every_queue(variant: str) -> None:
    resources = deployed(variant)
    policies = {
        f"AWS::{kind}Policy": attached
        for kind, attached in {"S3::Bucket": "Bucket", "SNS::Topic": "Topics", "SQS::Queue": "Queues"}.items()
    }

    covered: dict[str, Any] = {}
    for one in resources.values():
        if attached := policies.get(one["Type"]):
            [deny] = [
                statement
                for statement in one["Properties"]["PolicyDocument"]["Statement"]
                if statement["Sid"] == "OnlyOverTls"
            ]
            assert (deny["Effect"], deny["Principal"]) == ("Deny", "*")
            assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            covered |= dict.fromkeys(_listed(one["Properties"][attached]), _listed(deny["Resource"]))

    assert set(covered) == {
        name for name, one in resources.items() if one["Type"] in {kind.removesuffix("Policy") for kind in policies}
    }
    assert {name: not {name, f"{name}.Arn"} & set(denied) for name, denied in covered.items()} == dict.fromkeys(
        covered, False
    )
    assert "LandingBucket.Arn/*" in covered["LandingBucket"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_queues_policy_is_of_one_queue_and_names_no_other(variant: str) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/AccessPolicyLanguage_SpecialInfo.html"""
    for policy in of_type(deployed(variant), "AWS::SQS::QueuePolicy").values():
        [queue] = policy["Queues"]
        assert {one["Resource"] for one in policy["PolicyDocument"]["Statement"]} == {f"{queue}.Arn"}


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_only_new_files_below_incoming_notify_and_they_notify_the_queue() -> None:
    notifications = bucket()["Properties"]["NotificationConfiguration"]

    assert notifications == {
        "QueueConfigurations": [
            {
                "Event": "s3:ObjectCreated:*",
                "Queue": "ArrivalsQueue.Arn",
                "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "incoming/"}]}},
            }
        ]
    }
    assert bucket()["DependsOn"] == "ArrivalsQueuePolicy"


def test_the_queue_takes_messages_from_this_accounts_buckets_and_this_stacks_rules_alone() -> None:
    document = deployed("as it comes")["ArrivalsQueuePolicy"]["Properties"]["PolicyDocument"]

    allowed = {
        statement["Principal"]["Service"]: (statement["Action"], statement["Condition"])
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
    }

    assert allowed == {
        "s3.amazonaws.com": ("sqs:SendMessage", {"StringEquals": {"aws:SourceAccount": "123456789012"}}),
        "events.amazonaws.com": (
            "sqs:SendMessage",
            {"ArnLike": {"aws:SourceArn": "arn:aws:events:eu-west-1:123456789012:rule/penstock-*"}},
        ),
    }


def test_a_message_that_five_listings_fail_on_is_set_aside_and_both_queues_are_encrypted() -> None:
    queues = of_type(deployed("as it comes"), "AWS::SQS::Queue")

    assert queues["ArrivalsQueue"]["RedrivePolicy"] == {
        "deadLetterTargetArn": "ArrivalsDeadLetterQueue.Arn",
        "maxReceiveCount": 5,
    }
    assert {queue["SqsManagedSseEnabled"] for queue in queues.values()} == {True}


def test_a_message_stays_hidden_for_six_timeouts_of_the_listing_and_the_longest_window() -> None:
    resources = deployed("as it comes")
    longest_window = source()["Parameters"]["ArrivalsWindowSeconds"]["MaxValue"]

    hidden = resources["ArrivalsQueue"]["Properties"]["VisibilityTimeout"]

    assert hidden >= 6 * resources["ListIncoming"]["Properties"]["Timeout"] + longest_window


def test_a_storm_of_events_becomes_a_few_listings_and_never_more_than_two_at_once() -> None:
    mappings = of_type(deployed("as it comes"), "AWS::Lambda::EventSourceMapping")

    assert mappings == {
        "ListIncomingArrivals": {
            "FunctionName": "ListIncoming",
            "EventSourceArn": "ArrivalsQueue.Arn",
            "BatchSize": 1000,
            "MaximumBatchingWindowInSeconds": "5",
            "ScalingConfig": {"MaximumConcurrency": 2},
        }
    }


def test_a_listing_is_asked_for_every_minute_whatever_events_came() -> None:
    rule = deployed("as it comes")["EveryMinute"]["Properties"]

    assert rule["ScheduleExpression"] == "rate(1 minute)"
    assert [target["Arn"] for target in rule["Targets"]] == ["ArrivalsQueue.Arn"]


def test_whoever_puts_a_file_can_choose_no_other_encryption() -> None:
    """Under a KMS key or one of the sender's, ETags of equal bytes differ: a file that comes again would load again."""
    policy = deployed("as it comes")["LandingBucketPolicy"]["Properties"]["PolicyDocument"]
    denied = {statement["Sid"]: statement for statement in policy["Statement"] if statement["Effect"] == "Deny"}

    assert denied["OnlyUnderS3sOwnKey"]["Condition"] == {
        "Null": {"s3:x-amz-server-side-encryption": "false"},
        "StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"},
    }
    assert denied["UnderNoKeyOfTheSender"]["Condition"] == {
        "Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}
    }
    for sid in ("OnlyUnderS3sOwnKey", "UnderNoKeyOfTheSender"):
        assert (denied[sid]["Principal"], denied[sid]["Action"]) == ("*", "s3:PutObject")
        assert denied[sid]["Resource"] == "LandingBucket.Arn/*"
