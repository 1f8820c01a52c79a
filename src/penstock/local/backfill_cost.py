"""What a backfill will take on AWS, told before it starts: transitions, hours, dollars; by counts and stated rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from penstock.flows.measure_backfill import Size
from penstock.local.cost import PRICES_AS_OF, REGION, Line, Work, cost, total
from penstock.model.backfills import PART_BATCHES, PLAN_BATCHES

BATCH_TRANSITIONS = 6
"""The five states that a batch enters, and its child's start, in case it is billed. Keyed documents are a sixth."""
PART_TRANSITIONS = 3
END_TRANSITIONS = 6
SECONDS_A_FILE = 0.03
"""Of a batch, for each of its files. Not measured on AWS: docs/costs.md computes 0.019 for its load and its settling,
and the rest is for what stands between them. Two cores of a laptop, with every engine beside it, take as long."""
GB_SECONDS_A_FILE = 0.03
"""As much, in functions of 1,024 MB."""
BATCH_DOCUMENTS = 3
"""What its index, and its settling before and after, leave in plans/."""
PART_DOCUMENTS = 6


@dataclass(frozen=True)
class Estimate:
    """`hours` at `at_once` batches at once."""

    files: int
    bytes: int
    batches: int
    parts: int
    transitions: int
    documents: int
    """That it writes below plans/."""
    hours: float
    dollars: float
    at_once: int
    seconds_a_file: float
    lines: Sequence[Line]

    @property
    def per_million(self) -> float:
        """Dollars for a million files like these."""
        return self.dollars / self.files * 1_000_000 if self.files else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "dollars_per_million_files": round(self.per_million, 2),
            "prices_as_of": PRICES_AS_OF,
            "region": REGION,
        }


def estimate(size: Size, at_once: int, seconds_a_file: float = SECONDS_A_FILE) -> Estimate:
    parts = -(-size.batches // PART_BATCHES)
    transitions = size.batches * BATCH_TRANSITIONS + parts * PART_TRANSITIONS + END_TRANSITIONS
    documents = size.batches * BATCH_DOCUMENTS + -(-size.batches // PLAN_BATCHES) + parts * PART_DOCUMENTS
    lines = cost(
        Work(
            files=0,  # They are there: whoever put them has paid for that, and for the messages.
            moved=size.files,
            opened=size.opened,
            runs=1,
            batches=size.batches,
            listings=-(-size.listed // 1000),
            documents_written=documents,
            invocations=size.batches * 3 + parts + 2,
            gb_seconds=size.files * GB_SECONDS_A_FILE,
            transitions=transitions,
        )
    )
    hours = size.files * seconds_a_file / max(1, min(at_once, size.batches)) / 3600
    return Estimate(
        size.files,
        size.bytes,
        size.batches,
        parts,
        transitions,
        documents,
        hours,
        total(lines),
        at_once,
        seconds_a_file,
        lines,
    )
