"""What `reconcile` finds: which arrivals disagree, in what, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

FORMAT_VERSION = 1


class Kind(StrEnum):
    """In what an arrival disagrees. docs/operations.md says of each what it means and what to do."""

    TWO_PLACES = "two_places"
    NOWHERE = "nowhere"
    NOT_SETTLED = "not_settled"
    NO_LEDGER_ROW = "no_ledger_row"
    WRONG_PLACE = "wrong_place"
    """It lies in `processed/` and is quarantined, or in `failed/` and is loaded."""
    CHANGED = "changed"
    ROWS = "rows"
    UNKNOWN_ROWS = "unknown_rows"
    ROWS_NOT_LOADED = "rows_not_loaded"
    """The ledger says that nothing of it is in the table."""
    DOCUMENTS = "documents"
    UNKNOWN_DOCUMENTS = "unknown_documents"
    REJECTS_MISSING = "rejects_missing"
    ORPHAN_REJECTS = "orphan_rejects"
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """`what` and `todo` are sentences; `key` is the object's, or the one that the file arrived under."""

    dataset: str
    arrival: str
    key: str
    kind: Kind
    what: str
    todo: str


@dataclass(slots=True)
class Checked:
    """What of a dataset was looked at. Files of an arrival that is in flight are counted, and not judged."""

    arrivals: int = 0
    in_flight: int = 0
    incoming: int = 0
    processed: int = 0
    failed: int = 0
    rows: int = 0
    documents: int = 0
    disagreements: int = 0
    """Arrivals that disagree, in whatever many ways."""


@dataclass(slots=True)
class Reconciliation:
    """`disagreements` holds the first ten thousand; `checked` counts all of them."""

    MOST = 10_000

    began: datetime
    ended: datetime
    since: datetime | None = None
    checked: dict[str, Checked] = field(default_factory=dict)
    disagreements: list[Disagreement] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Arrivals that disagree."""
        return sum(checked.disagreements for checked in self.checked.values())

    def of(self, dataset: str) -> Checked:
        return self.checked.setdefault(dataset, Checked())

    def add(self, found: Sequence[Disagreement]) -> None:
        """The disagreements of one arrival; none is nothing."""
        if found:
            self.of(found[0].dataset).disagreements += 1
            self.disagreements += found[: max(0, self.MOST - len(self.disagreements))]

    def to_json(self) -> dict[str, Any]:
        return {
            "format_version": FORMAT_VERSION,
            "ok": self.total == 0,
            "began": self.began.isoformat(),
            "ended": self.ended.isoformat(),
            "since": self.since.isoformat() if self.since else None,
            "disagreeing_arrivals": self.total,
            "by_kind": dict(Counter(str(one.kind) for one in self.disagreements)),
            "datasets": {name: asdict(checked) for name, checked in sorted(self.checked.items())},
            "disagreements": [asdict(one) for one in self.disagreements],
            "cut": len(self.disagreements) >= self.MOST,
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Reconciliation:
        return cls(
            datetime.fromisoformat(raw["began"]),
            datetime.fromisoformat(raw["ended"]),
            datetime.fromisoformat(raw["since"]) if raw["since"] else None,
            {name: Checked(**checked) for name, checked in raw["datasets"].items()},
            [Disagreement(**{**one, "kind": Kind(one["kind"])}) for one in raw["disagreements"]],
        )
