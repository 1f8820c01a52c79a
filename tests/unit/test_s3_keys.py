"""Keys that XML can't carry, from the answer's bytes as S3 writes them to the requests that name them again.

Engines differ here from S3, so what S3 answers is played back beneath botocore: its parser and the adapter are real.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config

from penstock.adapters.s3 import S3ObjectStore
from penstock.ports import Move

KEYS = {
    "incoming/people/a%0Db%0Ac.csv": "incoming/people/a\rb\nc.csv",
    "incoming/people/a%01b.csv": "incoming/people/a\x01b.csv",
    "incoming/people/a+b%2Bc%2520.csv": "incoming/people/a b+c%20.csv",
    "incoming/people/caf%C3%A9%26%3C.csv": "incoming/people/caf\u00e9&<.csv",
}
"""As S3 lists them with encoding-type=url, and as they are."""


class _Raw(BytesIO):
    def stream(self, **_: Any) -> Any:
        yield self.read()


class _S3:
    """Answers in place of the network; keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.client = boto3.client(
            "s3",
            "eu-west-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=Config(retries={"max_attempts": 0}),
        )
        self.client.meta.events.register("before-send.s3", self._answer)

    def _answer(self, request: Any, **_: Any) -> Any:
        self.asked.append(request)
        body = "<Result/>"
        if request.method == "GET" and "encoding-type=url" in request.url:
            body = _listing(KEYS)
        elif request.method == "GET":
            body = _listing(["not asked for url encoding"])
        return AWSResponse(request.url, 200, HTTPHeaders(), _Raw(body.encode()))


def _listing(keys: Any) -> str:
    versions = "".join(
        f"<Version><Key>{key}</Key><VersionId>v{number}</VersionId><IsLatest>true</IsLatest>"
        f"<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;e{number}&quot;</ETag><Size>7</Size>"
        "<StorageClass>STANDARD</StorageClass></Version>"
        for number, key in enumerate(keys)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        "<Name>landing</Name><Prefix>incoming%2F</Prefix><KeyMarker></KeyMarker><VersionIdMarker></VersionIdMarker>"
        f"<MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{versions}"
        "</ListVersionsResult>"
    )


def test_keys_are_listed_as_they_are() -> None:
    listed = list(S3ObjectStore(_S3().client, "landing").arrivals("incoming/"))

    assert [arrival.key for arrival in listed] == list(KEYS.values())
    assert [arrival.etag for arrival in listed] == ["e0", "e1", "e2", "e3"]


def test_what_xml_can_t_carry_is_deleted_by_its_url_and_the_rest_in_xml_that_keeps_line_ends() -> None:
    s3 = _S3()
    store = S3ObjectStore(s3.client, "landing")
    arrivals = list(store.arrivals("incoming/"))

    store.move([Move(arrival, arrival.key.replace("incoming/", "processed/", 1)) for arrival in arrivals])

    [deletes] = [bytes(one.body) for one in s3.asked if one.method == "POST"]
    [alone] = [one.url for one in s3.asked if one.method == "DELETE"]
    copies = {str(one.headers["x-amz-copy-source"], "ascii") for one in s3.asked if one.method == "PUT"}
    assert b"a&#xD;b&#xA;c.csv</Key>" in deletes
    assert b"\x01" not in deletes
    assert alone.endswith("/incoming/people/a%01b.csv?versionId=v1")
    assert "landing/incoming/people/a%0Db%0Ac.csv?versionId=v0" in copies
    assert len(copies) == len(KEYS)
