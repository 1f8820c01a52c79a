"""A bucket with what stands around it, and the keys that are hard on everybody."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fakes.object_store import FakeObjectStore

from penstock.adapters.s3 import S3ObjectStore
from penstock.model.arrivals import Arrival
from penstock.ports import ObjectStore

ODD_KEYS = {
    "spaces": "incoming/d/a file  name .csv",
    "plus": "incoming/d/a+b.csv",
    "percent": "incoming/d/a%2Fb%20c%.csv",
    "quotes": "incoming/d/a'b\"c`d.csv",
    "ampersand and brackets": "incoming/d/a&b<c>d.csv",
    "query": "incoming/d/a?versionId=x&b=c#d.csv",
    "NFC": unicodedata.normalize("NFC", "incoming/d/é.csv"),
    "NFD": unicodedata.normalize("NFD", "incoming/d/é.csv"),
    "beyond the BMP": "incoming/d/\N{OCTOPUS}.csv",
    "newline": "incoming/d/a\nb.csv",
    "dots": "incoming/d/a/../b/./c..csv",
    "double slash": "incoming/d//a.csv",
    "1,024 bytes": "incoming/d/" + "x" * (1024 - len("incoming/d/")),
}


@dataclass
class Bucket:
    """A store and what stands outside of it: producers, and someone who looks."""

    store: ObjectStore
    put: Callable[[str, bytes], None]
    delete: Callable[[str], None]
    content: Callable[[str], bytes]


def listed(there: Bucket, prefix: str = "incoming/") -> list[Arrival]:
    return list(there.store.arrivals(prefix))


def read(there: Bucket, arrival: Arrival, size: int = 7) -> bytes:
    with there.store.open(arrival) as stream:
        return b"".join(iter(lambda: stream.read(size), b""))


def fake_bucket() -> Bucket:
    fake = FakeObjectStore()
    return Bucket(fake, lambda key, data: _nothing(fake.put(key, data)), fake.delete, fake.content)


def s3_bucket(client: Any, name: str) -> Bucket:
    return Bucket(
        S3ObjectStore(client, name),
        lambda key, data: _nothing(client.put_object(Bucket=name, Key=key, Body=data)),
        lambda key: _nothing(client.delete_object(Bucket=name, Key=key)),
        lambda key: bytes(client.get_object(Bucket=name, Key=key)["Body"].read()),
    )


def _nothing(_: object) -> None:
    return None
