"""Where a reconcile that takes several calls stands, as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from penstock.flows.in_flight import Beginning
from penstock.flows.second_look import Doubts
from penstock.model.reconciliation import Reconciliation

FORMAT = 2
"""What an earlier release left is begun anew."""

SLICES = [f"{number:02x}" for number in range(256)]
"""What was read is cut by the first two digits of the arrivals' ids."""


@dataclass(slots=True)
class Look:
    """One at everything, or one at what seemed to disagree in it."""

    report: Reconciliation
    sources: list[str]
    doubts: Doubts = field(default_factory=Doubts)
    read: int = 0
    """How many of the sources, in their order."""
    after: str = ""
    """The place in the next one."""
    parts: dict[str, list[int]] = field(default_factory=dict)
    """The slices of each part that was read."""
    judged: int = 0
    """Slices."""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "report": self.report.to_json()}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Look:
        return cls(**{**raw, "report": Reconciliation.from_json(raw["report"]), "doubts": Doubts(**raw["doubts"])})

    @property
    def reads(self) -> str:
        """The source that is to be read now; empty when all are."""
        return self.sources[self.read] if self.read < len(self.sources) else ""

    @property
    def over(self) -> bool:
        return not self.reads and self.judged == len(SLICES)

    def __str__(self) -> str:
        return f"reading {self.reads}" if self.reads else f"judging, {self.judged} of {len(SLICES)} slices done"


@dataclass(slots=True)
class Round:
    """Under way is its last look: the first one, or the second at what the first doubts."""

    beginning: Beginning
    sources: list[str]
    """All of them, which tell the datasets that it is of."""
    looks: list[Look]
    open: bool = False
    """Whether its place is kept."""
    complete: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "beginning": self.beginning.to_json(),
            "sources": self.sources,
            "looks": [look.to_json() for look in self.looks],
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Round:
        looks = [Look.from_json(look) for look in raw["looks"]]
        return cls(Beginning.from_json(raw["beginning"]), raw["sources"], looks, open=True)

    @property
    def report(self) -> Reconciliation:
        return self.looks[0].report

    @property
    def now(self) -> Look:
        return self.looks[-1]

    def __str__(self) -> str:
        again = ", of what seemed to disagree" if len(self.looks) > 1 else ""
        return f"the reconcile that began {self.beginning.at:%Y-%m-%d %H:%M}, now {self.now}{again}"
