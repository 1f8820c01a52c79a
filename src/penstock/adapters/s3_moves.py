"""Moving object versions inside the bucket: S3 has no rename, so each is copied and then deleted by its version id."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError

from penstock.adapters.aws_errors import MISSING_OBJECT, code_of, of_code, translated
from penstock.model.arrivals import Arrival
from penstock.model.errors import PenstockError, PermanentError
from penstock.ports import Move

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CopySourceTypeDef, ObjectIdentifierTypeDef

_THREADS = 16
_COPY_LIMIT = 5 * 2**30
"""CopyObject's limit, in bytes; above it the copy goes in parts."""
_DELETE_LIMIT = 1000
"""DeleteObjects' limit, in keys."""
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 can't carry, and S3 keys can: such a key is deleted by a request of its own, whose key is in the URL."""


def move_all(client: S3Client, bucket: str, moves: Sequence[Move]) -> Mapping[str, str]:
    """`ObjectStore.move`. One that can't be copied holds up no other: the rest is moved, then its error told."""
    # To where it lies already: copied onto itself and then deleted, it would be gone.
    moves = [move for move in moves if move.to != move.arrival.lies.key]
    if not moves:
        return {}
    results = _copy_each(client, bucket, moves)
    copied = [move.arrival for move, failure in results if failure is None]
    failures = [(move.arrival.id, failure) for move, failure in results if failure]
    failures += _delete(client, bucket, copied)
    for _, failure in failures:
        if not isinstance(failure, PermanentError):
            raise failure
    return {arrival: str(failure) for arrival, failure in failures}


def copy_all(client: S3Client, bucket: str, copies: Sequence[Move]) -> None:
    """`ObjectStore.copy`."""
    failures = [failure for _, failure in _copy_each(client, bucket, copies) if failure] if copies else []
    if failures:
        # The permanent one first: it is what an operator has to mend.
        raise next((failure for failure in failures if isinstance(failure, PermanentError)), failures[0])


def _copy_each(client: S3Client, bucket: str, moves: Sequence[Move]) -> list[tuple[Move, PenstockError | None]]:
    with ThreadPoolExecutor(min(_THREADS, len(moves)), thread_name_prefix="move") as pool:
        return list(zip(moves, pool.map(lambda move: _try_copy(client, bucket, move), moves), strict=True))


def _try_copy(client: S3Client, bucket: str, move: Move) -> PenstockError | None:
    try:
        _copy(client, bucket, move)
    except PenstockError as error:
        return error
    return None


def _copy(client: S3Client, bucket: str, move: Move) -> None:
    arrival, lies = move.arrival, move.arrival.lies
    source: CopySourceTypeDef = {"Bucket": bucket, "Key": lies.key, "VersionId": lies.version_id}
    with translated(f"copy {arrival.uri} (version {lies.version_id}) to s3://{bucket}/{move.to}"):
        try:
            if arrival.size > _COPY_LIMIT:
                client.copy(source, bucket, move.to, ExtraArgs=_carried(client, bucket, arrival))
            else:
                client.copy_object(Bucket=bucket, Key=move.to, CopySource=source)
        except ClientError as error:
            if code_of(error) not in MISSING_OBJECT:
                raise
            _require_moved(client, bucket, move)


def _require_moved(client: S3Client, bucket: str, move: Move) -> None:
    """The version is gone: moved before, if its target is there; else someone deleted it."""
    try:
        found = client.head_object(Bucket=bucket, Key=move.to)
    except ClientError as error:
        if code_of(error) not in MISSING_OBJECT:
            raise
        found = None
    if found is None or found["ContentLength"] != move.arrival.size:
        lies = move.arrival.lies
        raise PermanentError(
            f"{move.arrival.uri} (version {lies.version_id}) is gone and s3://{bucket}/{move.to} does not hold it: "
            "someone else deleted it. What was loaded of it stays; ask who deletes below "
            f"{lies.key.partition('/')[0]}/."
        )


def _carried(client: S3Client, bucket: str, arrival: Arrival) -> dict[str, Any]:
    """What CopyObject takes along by itself and a copy in parts does not."""
    lies = arrival.lies
    head = client.head_object(Bucket=bucket, Key=lies.key, VersionId=lies.version_id)
    names = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Metadata")
    carried: dict[str, Any] = {name: value for name, value in head.items() if name in names and value}
    tags = client.get_object_tagging(Bucket=bucket, Key=lies.key, VersionId=lies.version_id)["TagSet"]
    if tags:
        carried["Tagging"] = urlencode([(tag["Key"], tag["Value"]) for tag in tags])
    # Said outright: some releases of the SDK take both along by themselves, others neither.
    return {**carried, "MetadataDirective": "REPLACE", "TaggingDirective": "REPLACE"}


def _delete(client: S3Client, bucket: str, arrivals: Sequence[Arrival]) -> Iterator[tuple[str, PenstockError]]:
    """Deletes those versions and no other; what S3 says of each is read, since it answers 200 to a failed one.

    The errors, each with the id of the arrival that is still there for it.
    """
    versions = [(arrival.lies.key, version) for arrival in arrivals for version in arrival.lies.versions]
    # By the version alone: of a key the answer may have another spelling, as XML has of a line's end.
    whose = {version: arrival.id for arrival in arrivals for version in arrival.lies.versions}
    plain = [(key, version) for key, version in versions if not _NO_XML.search(key)]
    for start in range(0, len(plain), _DELETE_LIMIT):
        part = plain[start : start + _DELETE_LIMIT]
        objects: list[ObjectIdentifierTypeDef] = [{"Key": key, "VersionId": version} for key, version in part]
        try:
            with translated(f"delete {len(part)} moved versions from s3://{bucket}, {part[0][0]} the first"):
                answer = client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        except PenstockError as error:
            yield from ((whose[version], error) for _, version in part)
            continue
        for item in answer.get("Errors", []):
            doing = f"delete s3://{bucket}/{item.get('Key')} (version {item.get('VersionId')}) after it was copied"
            yield whose[item["VersionId"]], of_code(item.get("Code", ""), item.get("Message", ""), doing)
    for key, version in versions:
        if _NO_XML.search(key):
            try:
                with translated(f"delete s3://{bucket}/{key} (version {version}) after it was copied"):
                    client.delete_object(Bucket=bucket, Key=key, VersionId=version)
            except PenstockError as error:
                yield whose[version], error
