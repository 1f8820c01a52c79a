"""What is broken, where, in which scenario; and what became of it."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.kinds import HELD, Fault, Point
from tests.faults.scenarios import BACKFILLS


@dataclass(frozen=True)
class Case:
    scenario: str
    point: Point
    fault: Fault

    @property
    def name(self) -> str:
        """What `--only` takes."""
        return f"{self.scenario}/{self.point.function}/{self.point.call}/{self.point.nth}/{self.fault}"


@dataclass
class Result:
    case: Case
    made: bool = True
    """Whether the point was reached, and the fault made."""
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    runs: int = 0
    closings: int = 0
    """Of the runs, those that close another again for the kickoffs that it owed."""

    def to_json(self) -> dict[str, Any]:
        return {
            "case": self.case.name,
            "scenario": self.case.scenario,
            **self.case.point.to_json(),
            "fault": self.case.fault,
            "made": self.made,
            "wrong": self.wrong,
            "seconds": round(self.seconds, 2),
            "runs": self.runs,
            "closings": self.closings,
        }


def cases_of(points: Mapping[str, Sequence[Point]]) -> list[Case]:
    """All of them; those that are unlike any before come first, so that a campaign that is cut short saw most kinds."""
    by_kind: dict[tuple[Any, ...], list[Case]] = defaultdict(list)
    for scenario, found in points.items():
        for point in found:
            for fault in point.faults:
                if fault not in HELD or scenario in BACKFILLS:
                    by_kind[point.function, point.call, fault].append(Case(scenario, point, fault))
    ordered: list[Case] = []
    order = random.Random(20131001)  # noqa: S311 - a fixed order and no secret
    for cases in by_kind.values():
        order.shuffle(cases)
    while by_kind:
        turn = [cases.pop(0) for cases in by_kind.values()]
        order.shuffle(turn)
        ordered += turn
        by_kind = {kind: cases for kind, cases in by_kind.items() if cases}
    return ordered
