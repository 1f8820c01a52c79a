"""Small sets of files, each with what has to become of it; counted by the csv and json modules, not by Penstock."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.kinds import Point

MARK = "zq7content"
"""In every row, so that content which gets where it must not is found."""


@dataclass(frozen=True)
class File:
    """A PUT. `replaced` are those whose rows a later PUT takes the place of; a `duplicate` adds nothing."""

    key: str
    body: bytes
    dataset: str
    failed: bool = False
    replaced: bool = False
    duplicate: bool = False

    def rows(self) -> tuple[list[tuple[str, str, int]], int]:
        """The valid rows, and how many there are that are not."""
        body = gzip.decompress(self.body) if self.key.endswith(".gz") else self.body
        valid: list[tuple[str, str, int]] = []
        invalid = 0
        for row in _read(self.key, body.decode()):
            try:
                valid.append((row["id"], row["sensor"], int(row["value"])))
            except (ValueError, KeyError, TypeError):
                invalid += 1
        return valid, invalid


def _read(key: str, text: str) -> list[dict[str, Any]]:
    if ".csv" in key:
        return list(csv.DictReader(io.StringIO(text)))
    return [json.loads(line) for line in text.splitlines()]


@dataclass(frozen=True)
class Put:
    """A file as S3 has it."""

    file: File
    bucket: str
    version: str

    @property
    def arrival(self) -> str:
        name = "\0".join((self.bucket, self.file.key, self.version)).encode()
        return hashlib.blake2b(name, digest_size=16).hexdigest()


def csv_of(case: str, name: str, rows: int, *, bad: int = 0) -> bytes:
    lines = ["id,sensor,value"]
    lines += [f'{case}-{name}-{n},"{MARK}, {name}\n{n}",{n}' for n in range(rows)]
    lines += [f"{case}-{name}-bad{n},{MARK},many" for n in range(bad)]
    return ("\n".join(lines) + "\n").encode()


def jsonl_of(case: str, name: str, rows: int, *, bad: int = 0) -> bytes:
    found: list[dict[str, Any]] = [
        {"id": f"{case}-{name}-{n}", "sensor": f"{MARK} {name}", "value": n} for n in range(rows)
    ]
    found += [{"id": f"{case}-{name}-bad{n}", "sensor": MARK, "value": "many"} for n in range(bad)]
    return "".join(json.dumps(row) + "\n" for row in found).encode()


def overwritten(case: str) -> list[File]:
    """Rows and documents: a CSV that is overwritten, one with gzip, one with a row that is rejected. Two runs."""
    at = f"incoming/readings/{case}"
    return [
        File(f"{at}/a.csv", csv_of(case, "a1", 3), "readings", replaced=True),
        File(f"{at}/a.csv", csv_of(case, "a2", 2), "readings"),
        File(f"{at}/b.csv.gz", gzip.compress(csv_of(case, "b", 2), mtime=0), "readings"),
        File(f"{at}/c.csv", csv_of(case, "c", 3, bad=1), "readings"),
    ]


def keyed(case: str) -> list[File]:
    """Documents with declared ids, and the same bytes put again under their key."""
    at = f"incoming/people/{case}"
    return [
        File(f"{at}/a.jsonl", jsonl_of(case, "a", 3), "people"),
        File(f"{at}/b.jsonl", jsonl_of(case, "b", 2), "people"),
        File(f"{at}/b.jsonl", jsonl_of(case, "b", 2), "people", duplicate=True),
    ]


def indexed(case: str) -> list[File]:
    """An index and no table."""
    at = f"incoming/notes/{case}"
    return [
        File(f"{at}/a.jsonl", jsonl_of(case, "a", 3), "notes"),
        File(f"{at}/b.jsonl", jsonl_of(case, "b", 2, bad=1), "notes"),
    ]


def refused(case: str) -> list[File]:
    """A file that is set aside beside one that loads, and one that no dataset claims."""
    return [
        File(f"incoming/strict/{case}/good.csv", csv_of(case, "good", 2), "strict"),
        File(f"incoming/strict/{case}/bad.csv", csv_of(case, "bad", 2, bad=1), "strict", failed=True),
        File(f"incoming/nobodys/{case}/a.csv", csv_of(case, "nobody", 1), "_unclaimed", failed=True),
    ]


def backfilled(case: str) -> list[File]:
    """So many that a listing starts a backfill for them: three batches, in two parts."""
    at = f"incoming/bulk/{case}"
    return [
        File(f"{at}/a.csv", csv_of(case, "a", 2), "bulk"),
        File(f"{at}/b.csv.gz", gzip.compress(csv_of(case, "b", 2), mtime=0), "bulk"),
        File(f"{at}/c.csv", csv_of(case, "c", 3, bad=1), "bulk"),
        File(f"{at}/d.csv", csv_of(case, "d", 1), "bulk"),
        File(f"{at}/e.csv", csv_of(case, "e", 1, bad=2), "bulk", failed=True),
        File(f"{at}/f.csv", csv_of(case, "f", 2), "bulk"),
    ]


def late(case: str) -> File:
    """One that is put below a backfill's prefix while that goes on, behind what it has planned."""
    return File(f"incoming/bulk/{case}/late.csv", csv_of(case, "late", 2), "bulk")


BACKFILLS = ("backfilled",)
"""The scenarios whose files a backfill works."""


def is_played(scenario: str, point: Point) -> bool:
    """Of a backfill's batches, whose steps are ingest's and broken there at each call: what changes something."""
    if scenario not in BACKFILLS or point.function not in ("begin_load", "index_batch", "settle_batch"):
        return True
    return point.call in ("invocation", "postgres commit transaction") or bool(_CHANGES.match(point.call))


_CHANGES = re.compile(r"(s3 (Put|Copy|Delete)|search POST _bulk|redshift-data Batch|dynamodb (Put|Update|Transact))")

SCENARIOS: dict[str, Callable[[str], Sequence[File]]] = {
    "overwritten": overwritten,
    "keyed": keyed,
    "indexed": indexed,
    "refused": refused,
    "backfilled": backfilled,
}
