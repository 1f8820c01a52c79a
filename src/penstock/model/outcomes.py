"""What became of an arrival, in the warehouse, in the search index and in the end."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What the load ledger says of an arrival. First commit wins; it is never changed by a load."""

    LOADED = "loaded"
    QUARANTINED = "quarantined"
    DUPLICATE = "duplicate"
    """The same key with the same content (ETag and size) was loaded before: nothing was added."""


@dataclass(frozen=True, slots=True)
class LoadOutcome:
    """One row of the load ledger. `rows` were loaded, `rejects` were not; `reason` is empty unless quarantined.

    `replaced` are the ids of the arrivals whose rows this one's took the place of (`on_overwrite: replace`).
    `is_replaced` says that another's rows have taken the place of this one's since. `repeats` are rows whose event the
    table had (`event_id`): with the rows and the rejects they are all that the file has.
    """

    verdict: Verdict
    rows: int = 0
    rejects: int = 0
    reason: str = ""
    replaced: tuple[str, ...] = ()
    is_replaced: bool = False
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A row of the load ledger with the arrival that it is of. `replaced_by` is empty while its rows are in the table.

    `size` is the file's in bytes; `decided` has its zone.
    """

    arrival: str
    dataset: str
    key: str
    version_id: str
    size: int
    verdict: Verdict
    rows: int
    rejects: int
    replaced_by: str
    decided: datetime
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not be loaded or indexed.

    `line` is the physical line on which the row begins, from 1, the header counted; `column` is empty when the whole
    row is at fault; `raw` is the row's text as it stands in the file, cut at `MAX_RAW` characters.
    """

    MAX_RAW = 10_000

    line: int
    column: str
    reason: str
    raw: str

    def to_json(self) -> dict[str, Any]:
        return {"line": self.line, "column": self.column, "reason": self.reason, "raw": self.raw}


MAX_REJECTS = 1000
"""How many rejects an IndexOutcome holds; all are counted."""


@dataclass(frozen=True, slots=True)
class IndexOutcome:
    """What became of one arrival in the search index. `reason` is set when none of it could be indexed."""

    documents: int = 0
    rejects: tuple[Reject, ...] = ()
    rejected: int = 0
    """How many rows were rejected; `rejects` holds the first `MAX_REJECTS`."""
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "documents": self.documents,
            "rejected": self.rejected,
            "reason": self.reason,
            "rejects": [reject.to_json() for reject in self.rejects],
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> IndexOutcome:
        return cls(
            documents=raw["documents"],
            rejected=raw["rejected"],
            reason=raw["reason"],
            rejects=tuple(Reject(**reject) for reject in raw["rejects"]),
        )


class Settlement(StrEnum):
    """Where an arrival went at the end of a run."""

    PROCESSED = "processed"
    FAILED = "failed"
    PUT_BACK = "put_back"
    """It stays in `incoming/`, and is not planned again before a time."""


def too_many_rejects(bad: int, total: int, allowed: int, first: Reject) -> str:
    """Why a file is set aside of whose `total` rows `bad` were rejected; the `first` of them says what to look for."""
    were = "was" if bad == 1 else "were"
    where = f"line {first.line}" + (f", column {first.column}" if first.column else "")
    return (
        f"{bad} of {total} rows {were} rejected ({allowed} allowed): {where}: {first.reason}. "
        "Mend the file, or raise max_reject_ratio of the dataset"
    )


@dataclass(frozen=True, slots=True)
class SettledArrival:
    arrival: str
    key: str
    settlement: Settlement
    rows: int = 0
    rejects: int = 0
    documents: int = 0
    duplicate: bool = False
    reason: str = ""
    settled_key: str = ""
    died: bool = False
    """It was put back because a worker died, and not by a destination."""
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class SettledBatch:
    """`settle_batch`'s whole answer, in S3; the state carries only counts of it."""

    plan: str
    batch: int
    dataset: str
    arrivals: tuple[SettledArrival, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> SettledBatch:
        return cls(
            plan=raw["plan"],
            batch=raw["batch"],
            dataset=raw["dataset"],
            arrivals=tuple(
                SettledArrival(**{**arrival, "settlement": Settlement(arrival["settlement"])})
                for arrival in raw["arrivals"]
            ),
        )
