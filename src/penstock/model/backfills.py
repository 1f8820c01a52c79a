"""A backfill: a run that works a whole prefix, part by part, and so whatever its size.

It has no plan of its own. Its planner pages through the prefix and writes, for each part, a few plans of ordinary size
and the list of their batches, which a Distributed Map works. Nothing holds more than a part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock.model.arrivals import PLANS, Arrival

PLAN_BATCHES = 20
"""Batches of one plan: each step of a batch reads its plan whole, 2,000 files of about 250 bytes."""
PART_BATCHES = 400
"""Batches of one part: what is planned, worked and summed up before the next."""
PART_LOOKED_AT = 200_000
"""Versions that one call of the planner looks at, at most: 200 requests, a minute or so of its fifteen."""
TOLERATED = 5
"""Percent of a part's batches that may be left unsettled before the backfill stops; in backfill.asl.yaml too."""
AWAITED = "backfill"
"""In the place of an arrival's id: when the lister may start the next backfill, after one that ended badly."""

_BACKFILL = "-backfill"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a backfill leases, without a list of it: each arrival below `prefix` that S3 took before `before`.

    Later ones are the lister's. Both compare with the same moment, so no clock has to agree with S3's.
    """

    prefix: str
    before: datetime

    def holds(self, arrival: Arrival) -> bool:
        return arrival.key.startswith(self.prefix) and arrival.modified < self.before

    def to_json(self) -> dict[str, str]:
        return {"prefix": self.prefix, "before": self.before.isoformat()}

    @classmethod
    def from_json(cls, raw: dict[str, str]) -> Claim:
        return cls(raw["prefix"], datetime.fromisoformat(raw["before"]))


def is_claimed(arrival: Arrival, claims: Iterable[Claim]) -> bool:
    return any(claim.holds(arrival) for claim in claims)


@dataclass(frozen=True, slots=True)
class Part:
    """What one call of the planner has planned. `after` and `through` are keys: it looked at those in between."""

    number: int
    after: str
    through: str
    more: bool
    """Whether there was something behind `through`."""
    plans: tuple[str, ...] = ()
    batches: int = 0
    files: int = 0
    bytes: int = 0
    stopped: str = ""
    """Why nothing is planned any more though there was more; empty when it was not stopped."""

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Part:
        return cls(**{**raw, "plans": tuple(raw["plans"])})


def backfill_id(plan_id: str) -> str:
    return f"{plan_id}{_BACKFILL}"


def is_backfill(run: str) -> bool:
    """Whether the id is a backfill's; a closing of one is not, it is a run of the ingest machine."""
    return run.endswith(_BACKFILL)


def plan_of_part(run: str, part: int, number: int) -> str:
    """The id of the part's plan `number`."""
    return f"{run}-{part:05d}-{number:02d}"


def part_key(run: str, part: int) -> str:
    return f"{PLANS}{run}/parts/{part:05d}.json"


def sum_key(run: str, part: int) -> str:
    """Where the planner leaves what became of a part that was worked."""
    return f"{PLANS}{run}/sums/{part:05d}.json"


def items_key(run: str, part: int) -> str:
    """The part's batches as the Distributed Map reads them: `[{"plan": …, "batch": n}, …]`."""
    return f"{PLANS}{run}/items/{part:05d}.json"
