"""What archive/template.yaml says of prefixes, on the engine's Firehose, which gathers and packs nothing."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from tests.template.test_archive import destination

from penstock.local.stack import LocalStack


@pytest.fixture
def bucket(local_stack: LocalStack) -> Iterator[str]:
    name, s3 = f"archive-{uuid.uuid4().hex[:8]}", local_stack.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    yield name
    for key in keys(local_stack, name):
        s3.delete_object(Bucket=name, Key=key)
    s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize("variant", ["direct", "by a field"])
def test_a_small_producer_s_events_lie_below_incoming_and_what_has_no_field_beside_it(
    local_stack: LocalStack, bucket: str, variant: str
) -> None:
    firehose, name = local_stack.client("firehose"), f"archive-{uuid.uuid4().hex[:8]}"
    wanted = destination(variant) | {"BucketARN": f"arn:aws:s3:::{bucket}"}
    wanted["RoleARN"] = "arn:aws:iam::000000000000:role/archive"
    wanted["BufferingHints"] = {hint: int(number) for hint, number in wanted["BufferingHints"].items()}
    firehose.create_delivery_stream(
        DeliveryStreamName=name, DeliveryStreamType="DirectPut", ExtendedS3DestinationConfiguration=wanted
    )
    events = [{"event_id": "1", "type": "click"}, {"event_id": "2", "type": "view"}, {"event_id": "3"}]
    records: Any = [{"Data": json.dumps(event).encode() + b"\n"} for event in events]

    answer = firehose.put_record_batch(DeliveryStreamName=name, Records=records)

    assert answer["FailedPutCount"] == 0
    found = keys(local_stack, bucket)
    firehose.delete_delivery_stream(DeliveryStreamName=name)
    today = time.strftime("%Y/%m/%d/", time.gmtime())
    folders = ["incoming/events/"] * 3
    if variant == "by a field":
        folders = ["archive-errors/", "incoming/events/type=click/", "incoming/events/type=view/"]
    assert len(found) == len(folders)
    for key, folder in zip(found, folders, strict=True):
        assert key.startswith(folder)
        assert today in key
        assert key.endswith(".jsonl.gz") == folder.startswith("incoming/")


def keys(stack: LocalStack, bucket: str) -> list[str]:
    found = stack.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    return sorted(one["Key"] for one in found)
