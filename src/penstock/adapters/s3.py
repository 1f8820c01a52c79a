"""The landing bucket. Moving is in `s3_moves`; here is listing, reading and Penstock's own documents."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody

from penstock.adapters.aws_errors import MISSING_OBJECT, code_of, translated
from penstock.adapters.s3_moves import copy_all, move_all
from penstock.model.arrivals import Arrival
from penstock.model.errors import TransientError
from penstock.model.streams import ByteStream
from penstock.ports import Move, StoredObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_PART = 8 * 2**20
"""Bytes of a part that `put_lines` writes; it holds a few in memory. S3 takes 10,000, so 80 GB of lines."""


class S3ObjectStore:
    """`bucket` must have versioning on: a version is a file's identity."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def arrivals(self, prefix: str, after: str = "") -> Iterator[Arrival]:
        # S3 lists a key's versions newest first, and may cut a page between two of them: they are held back until the
        # key changes. That is what is held in memory, beside one page.
        held: list[Arrival] = []
        for arrival in self._versions(prefix, after):
            if held and held[0].key != arrival.key:
                yield from reversed(held)
                held = []
            held.append(arrival)
        yield from reversed(held)

    def _versions(self, prefix: str, after: str) -> Iterator[Arrival]:
        paginator = self._client.get_paginator("list_object_versions")
        start: Any = {"KeyMarker": after} if after else {}  # Passed on to the first request; its types don't know it.
        pages = iter(paginator.paginate(Bucket=self._bucket, Prefix=prefix, **start))
        while True:
            with translated(f"list the versions below s3://{self._bucket}/{prefix}"):
                page = next(pages, None)
            if page is None:
                return
            for version in page.get("Versions", []):
                if version["Size"] == 0 and version["Key"].endswith("/"):
                    continue
                yield Arrival(
                    bucket=self._bucket,
                    key=version["Key"],
                    version_id=version["VersionId"],
                    size=version["Size"],
                    etag=version["ETag"].strip('"'),
                    modified=version["LastModified"],
                )

    @contextmanager
    def open(self, arrival: Arrival) -> Iterator[ByteStream]:
        lies = arrival.lies
        with translated(f"read {arrival.uri} (version {lies.version_id})"):
            found = self._client.get_object(Bucket=self._bucket, Key=lies.key, VersionId=lies.version_id)
        body = _Body(self._client, found["Body"], found["ContentLength"], arrival)
        try:
            yield body
        finally:
            body.close()

    def move(self, moves: Sequence[Move]) -> Mapping[str, str]:
        return move_all(self._client, self._bucket, moves)

    def copy(self, copies: Sequence[Move]) -> None:
        copy_all(self._client, self._bucket, copies)

    def get_json(self, key: str) -> Any:
        with translated(f"read s3://{self._bucket}/{key}"):
            try:
                return orjson.loads(self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())
            except ClientError as error:
                if code_of(error) in MISSING_OBJECT:
                    raise KeyError(key) from None
                raise

    def put_json(self, key: str, document: Any) -> None:
        with translated(f"write s3://{self._bucket}/{key}"):
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=orjson.dumps(document), ContentType="application/json"
            )

    def put_lines(self, key: str, lines: Iterable[bytes]) -> None:
        parts = _parts(lines)
        first = next(parts, b"")
        with translated(f"write s3://{self._bucket}/{key}"):
            if len(first) < _PART:
                self._client.put_object(Bucket=self._bucket, Key=key, Body=first, ContentType=_LINES)
                return
            upload = self._client.create_multipart_upload(Bucket=self._bucket, Key=key, ContentType=_LINES)["UploadId"]
        try:
            self._upload(key, upload, chain((first,), parts))
        except BaseException as error:
            # One left open is paid for and never seen.
            try:
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
            except (ClientError, BotoCoreError) as left:
                # What broke it off is what has to be told. The bucket's lifecycle ends the upload.
                error.add_note(f"Its upload of s3://{self._bucket}/{key} is left open: {left}")
            raise

    def _upload(self, key: str, upload: str, parts: Iterator[bytes]) -> None:
        done: list[CompletedPartTypeDef] = []
        for number, part in enumerate(parts, 1):
            with translated(f"write part {number} of s3://{self._bucket}/{key}"):
                answer = self._client.upload_part(
                    Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=number, Body=part
                )
            done.append({"PartNumber": number, "ETag": answer["ETag"]})
        with translated(f"complete the upload of s3://{self._bucket}/{key}"):
            self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": done}
            )

    def lines(self, key: str) -> Iterator[bytes]:
        with translated(f"read s3://{self._bucket}/{key}"):
            try:
                body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
            except ClientError as error:
                if code_of(error) in MISSING_OBJECT:
                    raise KeyError(key) from None
                raise
        lines = body.iter_lines(64 * 1024)
        try:
            while True:
                with translated(f"read s3://{self._bucket}/{key}"):
                    line = next(lines, None)
                if line is None:
                    return
                yield line
        finally:
            body.close()

    def keys(self, prefix: str) -> Iterator[str]:
        return (found.key for found in self.objects(prefix))

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        paginator = self._client.get_paginator("list_objects_v2")
        pages = iter(paginator.paginate(Bucket=self._bucket, Prefix=prefix, StartAfter=after))
        while True:
            with translated(f"list s3://{self._bucket}/{prefix}"):
                page = next(pages, None)
            if page is None:
                return
            for found in page.get("Contents", []):
                yield StoredObject(found["Key"], found["Size"], found["LastModified"])


_LINES = "application/x-ndjson"


class _Body:
    """A version's bytes, counted: fewer than S3 announced is a dropped connection and no end.

    They come by one GET as long as they are read in order. From the first `seek` on, each `read` asks for its own range
    of that version, so what is read is what was asked for, and nothing is held.
    """

    def __init__(self, client: S3Client, body: StreamingBody, length: int, arrival: Arrival) -> None:
        self._client = client
        self._body: StreamingBody | None = body
        self._length = length
        self._at = 0
        self._arrival = arrival

    def read(self, size: int, /) -> bytes:
        with translated(f"read {self._arrival.uri} (version {self._arrival.lies.version_id})"):
            data = self._body.read(size) if self._body is not None else self._range(size)
        self._at += len(data)
        if not data and size and self._at < self._length:
            raise TransientError(
                f"Could not read {self._arrival.uri} (version {self._arrival.lies.version_id}): the connection ended "
                f"{self._length - self._at} bytes before the file did. Try again."
            )
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self.close()
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = min(max(0, start + offset), self._length)
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    def _range(self, size: int) -> bytes:
        end = min(self._at + size, self._length)
        if end <= self._at:
            return b""
        lies = self._arrival.lies
        found = self._client.get_object(
            Bucket=self._arrival.bucket,
            Key=lies.key,
            VersionId=lies.version_id,
            Range=f"bytes={self._at}-{end - 1}",
        )
        with closing(found["Body"]) as body:
            before = (
                0 if "ContentRange" in found else self._at
            )  # A server may answer with all of it, as MiniStack does.
            while before and (passed := body.read(min(before, _PART))):
                before -= len(passed)
            data: bytes = body.read(end - self._at)
        return data


def _parts(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines with their newlines, in pieces of at least `_PART` bytes, which S3 wants of all but the last."""
    part = bytearray()
    for line in lines:
        part += line
        part += b"\n"
        if len(part) >= _PART:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)
