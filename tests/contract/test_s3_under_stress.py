"""What S3 does on a bad day, and MiniStack does not: it is put between the adapter and the engine here."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from penstock.adapters import s3_moves
from penstock.adapters.s3 import S3ObjectStore
from penstock.model.arrivals import Arrival
from penstock.model.errors import TransientError
from penstock.ports import Move


@pytest.fixture
def calls(s3: Any) -> Iterator[list[str]]:
    """The S3 operations called, in order."""
    seen: list[str] = []

    def see(model: Any, **_: Any) -> None:
        seen.append(model.name)

    s3.meta.events.register("before-call.s3", see)
    yield seen
    s3.meta.events.unregister("before-call.s3", see)


class _Between:
    """The client, with some of its methods in other hands."""

    def __init__(self, client: Any, **methods: Any) -> None:
        self._client = client
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def between(client: Any, **methods: Any) -> Any:
    return _Between(client, **methods)


def put(s3: Any, bucket: str, key: str = "incoming/a", data: bytes = b"content") -> Arrival:
    s3.put_object(Bucket=bucket, Key=key, Body=data)
    return list(S3ObjectStore(s3, bucket).arrivals(key))[-1]


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_short_read_is_an_error_and_no_end(s3: Any, bucket: str) -> None:
    arrival = put(s3, bucket)

    class Short(StreamingBody):
        def _verify_content_length(self) -> None:
            """As where something on the way announces less than was sent."""

    def get_object(**_: Any) -> dict[str, Any]:
        return {"Body": Short(io.BytesIO(b"cont"), 7), "ContentLength": 7}

    store = S3ObjectStore(between(s3, get_object=get_object), bucket)

    with store.open(arrival) as stream:
        first = stream.read(100)
        with pytest.raises(TransientError, match=r"3 bytes before.*[Tt]ry again"):
            stream.read(100)

    assert first == b"cont"


def test_a_body_shorter_than_announced_is_transient(s3: Any, bucket: str) -> None:
    arrival = put(s3, bucket)

    def get_object(**_: Any) -> dict[str, Any]:
        return {"Body": StreamingBody(io.BytesIO(b"cont"), 7), "ContentLength": 7}

    store = S3ObjectStore(between(s3, get_object=get_object), bucket)

    with store.open(arrival) as stream:
        first = stream.read(100)
        with pytest.raises(TransientError, match="incoming/a"):
            stream.read(100)

    assert first == b"cont"


# ── moving ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_delete_that_fails_inside_an_answer_of_200_is_seen(s3: Any, bucket: str) -> None:
    arrival = put(s3, bucket)
    error = {"Key": arrival.key, "VersionId": arrival.version_id, "Code": "InternalError", "Message": "We made one"}
    store = S3ObjectStore(between(s3, delete_objects=lambda **_: {"Errors": [error]}), bucket)

    with pytest.raises(TransientError, match=r"incoming/a.*InternalError"):
        store.move([Move(arrival, "processed/a")])
    S3ObjectStore(s3, bucket).move([Move(arrival, "processed/a")])

    assert list(S3ObjectStore(s3, bucket).arrivals("incoming/")) == []


def test_only_what_was_copied_is_deleted(s3: Any, bucket: str) -> None:
    good, bad = put(s3, bucket, "incoming/good"), put(s3, bucket, "incoming/bad")

    def copy_object(**given: Any) -> Any:
        if given["CopySource"]["Key"] == bad.key:
            return s3.copy_object(**{**given, "Bucket": "no-such-bucket-here"})
        return s3.copy_object(**given)

    store = S3ObjectStore(between(s3, copy_object=copy_object), bucket)

    refused = store.move([Move(bad, "processed/bad"), Move(good, "processed/good")])

    assert refused.keys() == {bad.id}
    assert "NoSuchBucket" in refused[bad.id]
    assert list(store.arrivals("incoming/")) == [bad]
    assert list(store.keys("processed/")) == ["processed/good"]


def test_a_version_that_may_not_be_deleted_is_told_and_its_neighbour_is_moved(s3: Any, bucket: str) -> None:
    held, free = put(s3, bucket, "incoming/held"), put(s3, bucket, "incoming/free")

    def delete_objects(**given: Any) -> Any:
        wanted = [one for one in given["Delete"]["Objects"] if one["VersionId"] != held.version_id]
        s3.delete_objects(**{**given, "Delete": {"Objects": wanted}})
        code = {"Code": "AccessDenied", "Message": "Access Denied"}
        return {"Errors": [{"Key": held.key, "VersionId": held.version_id, **code}]}

    store = S3ObjectStore(between(s3, delete_objects=delete_objects), bucket)

    refused = store.move([Move(held, "processed/held"), Move(free, "processed/free")])

    assert refused.keys() == {held.id}
    assert "AccessDenied" in refused[held.id]
    assert list(store.arrivals("incoming/")) == [held]


def test_a_year_of_files_costs_a_copy_each_and_one_delete(s3: Any, bucket: str, calls: list[str]) -> None:
    for day in range(365):
        s3.put_object(Bucket=bucket, Key=f"incoming/{day:03d}", Body=b"x")
    arrivals = list(S3ObjectStore(s3, bucket).arrivals("incoming/"))
    calls.clear()

    S3ObjectStore(s3, bucket).move([Move(arrival, f"processed/{arrival.id}") for arrival in arrivals])

    assert {name: calls.count(name) for name in set(calls)} == {"CopyObject": 365, "DeleteObjects": 1}


def test_metadata_goes_along(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="incoming/a", Body=b"x", Metadata={"producer": "p"}, ContentType="text/csv")
    (arrival,) = S3ObjectStore(s3, bucket).arrivals("incoming/")

    S3ObjectStore(s3, bucket).move([Move(arrival, "processed/a")])

    head = s3.head_object(Bucket=bucket, Key="processed/a")
    assert (head["Metadata"], head["ContentType"]) == ({"producer": "p"}, "text/csv")


def test_a_file_too_big_for_one_copy_goes_in_parts_with_metadata_and_tags(
    s3: Any, bucket: str, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(range(256)) * (9 * 2**20 // 256)
    s3.put_object(
        Bucket=bucket,
        Key="incoming/big %2F+é",
        Body=data,
        Metadata={"producer": "p"},
        ContentType="text/csv",
        Tagging="a=b%26c",
    )
    s3.put_object(Bucket=bucket, Key="incoming/big %2F+é", Body=b"a newer version")
    arrival = next(iter(S3ObjectStore(s3, bucket).arrivals("incoming/")))
    monkeypatch.setattr(s3_moves, "_COPY_LIMIT", 2**20)
    calls.clear()

    S3ObjectStore(s3, bucket).move([Move(arrival, "processed/big")])

    head = s3.head_object(Bucket=bucket, Key="processed/big")
    tags = s3.get_object_tagging(Bucket=bucket, Key="processed/big")["TagSet"]
    assert calls.count("UploadPartCopy") >= 2
    assert "CopyObject" not in calls
    assert s3.get_object(Bucket=bucket, Key="processed/big")["Body"].read() == data
    assert (head["Metadata"], head["ContentType"], tags) == (
        {"producer": "p"},
        "text/csv",
        [{"Key": "a", "Value": "b&c"}],
    )
    assert [one.size for one in S3ObjectStore(s3, bucket).arrivals("incoming/")] == [len(b"a newer version")]


def test_a_big_file_that_was_moved_before_is_moved(s3: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arrival = put(s3, bucket)
    monkeypatch.setattr(s3_moves, "_COPY_LIMIT", 0)

    for _ in range(2):
        S3ObjectStore(s3, bucket).move([Move(arrival, "processed/a")])

    assert list(S3ObjectStore(s3, bucket).keys("")) == ["processed/a"]


def test_a_key_that_xml_can_not_carry_is_deleted_by_a_request_of_its_own(calls: list[str], s3: Any) -> None:
    deleted: list[dict[str, Any]] = []
    client = between(
        s3, copy_object=lambda **_: {}, delete_object=lambda **given: deleted.append(given), delete_objects=None
    )
    odd = replace(_arrival(), key="incoming/a\x01b")

    S3ObjectStore(client, "landing").move([Move(odd, "processed/a")])

    assert deleted == [{"Bucket": "landing", "Key": odd.key, "VersionId": odd.version_id}]


# ── listing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _arrival() -> Arrival:
    from tests.fakes.object_store import FakeObjectStore

    return FakeObjectStore().put("incoming/a", b"x")


ENCODED = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType>
<IsTruncated>false</IsTruncated><Version><Key>incoming/a%2520b%2Bc%09d%0De%01+f</Key><VersionId>v</VersionId>
<LastModified>2026-01-15T10:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>1</Size></Version>
</ListVersionsResult>"""


def test_keys_are_asked_for_url_encoded_and_come_back_as_they_were(s3: Any, bucket: str) -> None:
    class Raw(io.BytesIO):
        def stream(self, **_: Any) -> Iterator[bytes]:
            yield self.read()

    def answer(request: Any, **_: Any) -> AWSResponse:
        assert "encoding-type=url" in request.url
        return AWSResponse(request.url, 200, HTTPHeaders(), Raw(ENCODED))

    s3.meta.events.register("before-send.s3.ListObjectVersions", answer)
    try:
        (arrival,) = S3ObjectStore(s3, bucket).arrivals("incoming/")
    finally:
        s3.meta.events.unregister("before-send.s3.ListObjectVersions", answer)

    assert arrival.key == "incoming/a%20b+c\td\re\x01 f"


def test_a_long_listing_holds_a_page_and_no_more(s3: Any) -> None:
    def pages() -> Iterator[dict[str, Any]]:
        modified = _arrival().modified
        for page in range(40):
            versions = [
                {
                    "Key": f"incoming/{page:04d}/{number:04d}",
                    "VersionId": "v",
                    "Size": 1,
                    "ETag": '"e"',
                    "LastModified": modified,
                }
                for number in range(1000)
            ]
            yield {"Versions": versions}

    class Paginator:
        def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
            return pages()

    store = S3ObjectStore(between(s3, get_paginator=lambda _: Paginator()), "landing")
    tracemalloc.start()

    count = sum(1 for _ in store.arrivals("incoming/"))

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 40_000
    assert peak < 5 * 2**20


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_many_lines_are_written_in_constant_memory(s3: Any, bucket: str, calls: list[str]) -> None:
    line = b"x" * 100_000
    S3ObjectStore(s3, bucket).put_lines("failed/warm", [line])
    tracemalloc.start()

    S3ObjectStore(s3, bucket).put_lines("failed/a", (line for _ in range(1000)))

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 2**20
    assert s3.head_object(Bucket=bucket, Key="failed/a")["ContentLength"] == 100_001_000
    assert calls.count("UploadPart") == 12


def test_an_upload_that_breaks_off_is_not_left_open(s3: Any, bucket: str) -> None:
    def lines() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 1_000_000
        raise TransientError("the ledger went away")

    with pytest.raises(TransientError, match="the ledger"):
        S3ObjectStore(s3, bucket).put_lines("failed/a", lines())

    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_what_broke_an_upload_off_is_told_also_when_it_may_not_be_aborted(s3: Any, bucket: str) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "AbortMultipartUpload")

    def lines() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 1_000_000
        raise TransientError("the ledger went away")

    with pytest.raises(TransientError, match="the ledger") as raised:
        S3ObjectStore(between(s3, abort_multipart_upload=refuse), bucket).put_lines("failed/a", lines())

    assert "is left open" in raised.value.__notes__[0]
