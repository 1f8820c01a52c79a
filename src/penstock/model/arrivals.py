"""An arrival is one object version: that, and not its key, is a file's identity."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

INCOMING = "incoming/"
PROCESSED = "processed/"
FAILED = "failed/"
PLANS = "plans/"

UNCLAIMED = "_unclaimed"
"""The dataset name of arrivals whose key no dataset's prefix claims. No dataset can be called so."""

MAX_KEY_BYTES = 1024
"""S3's limit for a key, in UTF-8 bytes."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a settled arrival's bytes lie now: a key that `settled_key` made, with its versions, the newest last.

    A move that was repeated has copied the file twice; all its versions there are the same bytes.
    """

    key: str
    versions: tuple[str, ...]

    @property
    def version_id(self) -> str:
        return self.versions[-1]

    def to_json(self) -> dict[str, Any]:
        return {"key": self.key, "versions": list(self.versions)}


@dataclass(frozen=True)
class Arrival:
    """One object version under `incoming/`, or one that was there: its identity stays when it is moved.

    `size` is in bytes; `etag` is without quotes; `modified` is when S3 took the version, with a time zone.
    """

    bucket: str
    key: str
    version_id: str
    size: int
    etag: str
    modified: datetime
    location: Location | None = None
    """Where it is read and moved from, once it was settled. None: from `incoming/`."""
    retry: int = 0
    """How many times an operator had it tried again: a quarantine of a lesser number does not bind any more."""

    @cached_property
    def id(self) -> str:
        """32 hex digits, a function of bucket, key and version id alone. Reads as a UUID.

        Where it lies in `processed/` or `failed/`, its key there says it too.
        """
        if self.location:
            return arrival_id_of(self.location.key)
        name = "\0".join((self.bucket, self.key, self.version_id))
        return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    @property
    def lies(self) -> Location:
        """The key and the version that hold its bytes."""
        return self.location or Location(self.key, (self.version_id,))

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.lies.key}"

    def to_json(self) -> dict[str, Any]:
        return {
            **({"location": self.location.to_json(), "retry": self.retry} if self.location else {}),
            "bucket": self.bucket,
            "key": self.key,
            "version_id": self.version_id,
            "size": self.size,
            "etag": self.etag,
            "modified": self.modified.isoformat(),
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Arrival:
        return cls(
            bucket=raw["bucket"],
            key=raw["key"],
            version_id=raw["version_id"],
            size=raw["size"],
            etag=raw["etag"],
            modified=datetime.fromisoformat(raw["modified"]),
            location=Location(raw["location"]["key"], tuple(raw["location"]["versions"]))
            if "location" in raw
            else None,
            retry=raw.get("retry", 0),
        )


def settled_key(root: str, dataset: str, prefix: str, arrival: Arrival) -> str:
    """Where an arrival goes below `processed/` or `failed/`: its path is kept, its id stands before its name.

    `incoming/flights/2013/a.csv.gz` of dataset `flights` (prefix `flights/`) becomes
    `processed/flights/2013/<arrival id>-a.csv.gz`, so partitions in the path and the ending both survive. A key that
    would pass S3's 1,024 bytes has the tail of its path replaced by a hash of it; the arrival's id is never cut.
    """
    rest = arrival.key.removeprefix(INCOMING).removeprefix(prefix)
    folder, slash, name = rest.rpartition("/")
    key = f"{root}{dataset}/{folder}{slash}{arrival.id}-{name}"
    if len(key.encode()) <= MAX_KEY_BYTES:
        return key
    digest = hashlib.blake2b(rest.encode(), digest_size=8).hexdigest()
    head = f"{root}{dataset}/"
    tail = f"{arrival.id}-~{digest}{_ending(name)}"
    room = MAX_KEY_BYTES - len(head.encode()) - len(tail.encode()) - 1
    cut = folder.encode()[:room].decode("utf-8", "ignore")
    return f"{head}{cut}/{tail}" if cut else f"{head}{tail}"


def arrival_id_of(settled: str) -> str:
    """The arrival id in a key that `settled_key` made; ValueError for any other key."""
    candidate = settled.rpartition("/")[2][:32]
    if not is_arrival_id(candidate):
        raise ValueError(f"{settled!r} carries no arrival id")
    return candidate


def is_arrival_id(text: str) -> bool:
    return len(text) == 32 and set(text) <= set("0123456789abcdef")


def is_settled(key: str) -> bool:
    """Whether `settled_key` can have made it."""
    try:
        arrival_id_of(key)
    except ValueError:
        return False
    return True


def _ending(name: str) -> str:
    """The last one or two short endings of a file's name (`.csv.gz`): what tells readers its format."""
    parts = name.split(".")[1:][-2:]
    ending = "".join(f".{part}" for part in parts)
    return ending if len(ending.encode()) <= 24 else ""
