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

import pyarrow as pa
import pyarrow.parquet as pq
from tests.corpus.parquet_files import written
from tests.faults.kinds import Point

MARK = "zq7content"
"""In every row, so that content which gets where it must not is found."""


@dataclass(frozen=True)
class File:
    """A PUT. `replaced` are those whose rows a later PUT takes the place of; a `duplicate` adds nothing.

    `beaten` are the ids of rows whose place another file's rows take.
    """

    key: str
    body: bytes
    dataset: str
    failed: bool = False
    replaced: bool = False
    duplicate: bool = False
    beaten: frozenset[str] = frozenset()

    def rows(self) -> tuple[list[tuple[str, str, int]], int]:
        """The valid rows, and how many there are that are not."""
        body = gzip.decompress(self.body) if self.key.endswith(".gz") else self.body
        valid: list[tuple[str, str, int]] = []
        invalid = 0
        for row in _read(self.key, body):
            try:
                valid.append((row["id"], row["sensor"], int(row["value"])))
            except (ValueError, KeyError, TypeError):
                invalid += 1
        return valid, invalid


def _read(key: str, body: bytes) -> list[dict[str, Any]]:
    if ".csv" in key:
        return list(csv.DictReader(io.StringIO(body.decode())))
    if ".parquet" in key:
        return list(pq.read_table(io.BytesIO(body)).to_pylist())
    return [json.loads(line) for line in body.splitlines()]


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


def csv_of(case: str, name: str, rows: int, *, bad: int = 0, between: str = "\n") -> bytes:
    """`between` is what stands in the middle of a value."""
    lines = ["id,sensor,value"]
    lines += [f'{case}-{name}-{n},"{MARK}, {name}{between}{n}",{n}' for n in range(rows)]
    lines += [f"{case}-{name}-bad{n},{MARK},many" for n in range(bad)]
    return ("\n".join(lines) + "\n").encode()


def lines_of(case: str, name: str, rows: int, *, bad: int = 0) -> bytes:
    return csv_of(case, name, rows, bad=bad, between=" ")


def jsonl_of(case: str, name: str, rows: int, *, bad: int = 0) -> bytes:
    found: list[dict[str, Any]] = [
        {"id": f"{case}-{name}-{n}", "sensor": f"{MARK} {name}", "value": n} for n in range(rows)
    ]
    found += [{"id": f"{case}-{name}-bad{n}", "sensor": MARK, "value": "many"} for n in range(bad)]
    return "".join(json.dumps(row) + "\n" for row in found).encode()


def parquet_of(case: str, name: str, rows: int, *, bad: int = 0) -> bytes:
    ids = [f"{case}-{name}-{n}" for n in range(rows)] + [f"{case}-{name}-bad{n}" for n in range(bad)]
    values = [*range(rows), *[None] * bad]
    return written({"id": ids, "sensor": [f"{MARK} {name}"] * len(ids), "value": pa.array(values, pa.int64())})


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
    """So many that a listing starts a backfill for them: three batches, in two parts.

    A row is a line: of a COPY of many files Redshift tells no more than each one's lines (docs/redshift.md).
    """
    at = f"incoming/bulk/{case}"
    return [
        File(f"{at}/a.csv", lines_of(case, "a", 2), "bulk"),
        File(f"{at}/b.csv.gz", gzip.compress(lines_of(case, "b", 2), mtime=0), "bulk"),
        File(f"{at}/c.csv", lines_of(case, "c", 3, bad=1), "bulk"),
        File(f"{at}/d.csv", lines_of(case, "d", 1), "bulk"),
        File(f"{at}/e.csv", lines_of(case, "e", 1, bad=2), "bulk", failed=True),
        File(f"{at}/f.csv", lines_of(case, "f", 2), "bulk"),
    ]


def late(case: str) -> File:
    """One that is put below a backfill's prefix while that goes on, behind what it has planned."""
    return File(f"incoming/bulk/{case}/late.csv", lines_of(case, "late", 2), "bulk")


def merged(case: str) -> list[File]:
    """Two files of the same keys, in batches of their own: each has rows that are newer than the other's."""
    at = f"incoming/states/{case}"
    ids = [f"{case}-k-{n}" for n in range(3)]
    newer = f"id,sensor,value\n{ids[0]},{MARK},7\n{ids[1]},{MARK},0\n{ids[2]},{MARK},8\n"
    return [
        File(f"{at}/a.csv", csv_of(case, "k", 3), "states", beaten=frozenset((ids[0], ids[2]))),
        File(f"{at}/b.csv", newer.encode(), "states", beaten=frozenset((ids[1],))),
    ]


def columnar(case: str) -> list[File]:
    """Parquet, which a function of its own loads and indexes."""
    at = f"incoming/columnar/{case}"
    return [
        File(f"{at}/a.parquet", parquet_of(case, "a", 3), "columnar"),
        File(f"{at}/b.parquet", parquet_of(case, "b", 2, bad=1), "columnar"),
    ]


BACKFILLS = ("backfilled",)
"""The scenarios whose files a backfill works."""


def is_played(scenario: str, point: Point, warehouse: str = "postgres") -> bool:
    """Steps that are as in the first scenarios are broken there, at each call; here is what differs from them.

    Of a backfill's batches, whose steps are ingest's, that is what changes something. On Redshift it is what asks that,
    and what is written for it to read: everything else does not know which warehouse there is.
    """
    if warehouse == "redshift" and not _REDSHIFTS.match(f"{point.function} {point.call}"):
        return False
    if scenario in BACKFILLS and point.function in STEPS:
        return point.call in ("invocation", "postgres commit transaction") or bool(_CHANGES.match(point.call))
    if scenario in _ONLY:
        # A footer, then each column of each row group: reads of Parquet are alike.
        alike = scenario == "columnar" and point.call in ("s3 GetObject incoming/", "s3 body") and point.nth % 3
        return point.function in _ONLY[scenario] and not _SAME.match(point.call) and not alike
    return True


STEPS = ("begin_load", "poll_load", "index_batch", "work_parquet", "settle_batch")
"""Of a batch."""
_ONLY = {"merged": ("begin_load", "poll_load", "index_batch"), "columnar": ("work_parquet", "poll_load")}
_SAME = re.compile(r"(secretsmanager|postgres (BEGIN|connect|SET CONSTRAINTS|SELECT (1|set_config|has_database)))")
_CHANGES = re.compile(r"(s3 (Put|Copy|Delete)|search POST _bulk|redshift-data Batch|dynamodb (Put|Update|Transact))")
_REDSHIFTS = re.compile(r"[a-z_]+ (redshift-data|s3 (Put|Copy)Object plans/copies)|(poll_load|begin_load) invocation")

SCENARIOS: dict[str, Callable[[str], Sequence[File]]] = {
    "overwritten": overwritten,
    "keyed": keyed,
    "indexed": indexed,
    "refused": refused,
    "backfilled": backfilled,
    "merged": merged,
    "columnar": columnar,
}
