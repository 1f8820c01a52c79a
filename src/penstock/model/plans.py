"""A plan is what one run will do: immutable JSON in S3, referred to by its id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock.model.arrivals import PLANS, Arrival
from penstock.model.errors import PermanentError

FORMAT_VERSION = 1

MAX_BATCHES = 200
"""A batch costs about 30 of a Standard execution's 25,000 history events, retries not counted."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Arrivals of one dataset that are worked together. `number` is its place in the plan, from 0."""

    number: int
    dataset: str
    arrivals: tuple[Arrival, ...]
    rate: int = 0
    """Bytes a second that earlier loads of the dataset have shown (`penstock.model.huge`); 0 when none has."""

    @property
    def size(self) -> int:
        """Bytes as they lie in S3."""
        return sum(arrival.size for arrival in self.arrivals)


@dataclass(frozen=True, slots=True)
class Plan:
    """`id` is also the execution's name (at most 80 characters) and sorts by time."""

    id: str
    created: datetime
    batches: tuple[Batch, ...]

    @property
    def arrivals(self) -> Sequence[Arrival]:
        return [arrival for batch in self.batches for arrival in batch.arrivals]

    def to_json(self) -> dict[str, Any]:
        return {
            "format_version": FORMAT_VERSION,
            "id": self.id,
            "created": self.created.isoformat(),
            "batches": [
                {
                    "dataset": batch.dataset,
                    "arrivals": [arrival.to_json() for arrival in batch.arrivals],
                    **({"rate": batch.rate} if batch.rate else {}),
                }
                for batch in self.batches
            ],
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Plan:
        """Raises PermanentError for a plan of a format that this code does not know."""
        if raw.get("format_version") != FORMAT_VERSION:
            raise PermanentError(
                f"plan {raw.get('id')} has format version {raw.get('format_version')}, not {FORMAT_VERSION}. "
                "Deploy the version that wrote it, or stop the run: the next listing plans its files again."
            )
        return cls(
            id=raw["id"],
            created=datetime.fromisoformat(raw["created"]),
            batches=tuple(
                Batch(
                    number,
                    batch["dataset"],
                    tuple(Arrival.from_json(arrival) for arrival in batch["arrivals"]),
                    batch.get("rate", 0),
                )
                for number, batch in enumerate(raw["batches"])
            ),
        )


_CLOSING = "-closing-"


def closing_id(plan_id: str, number: int) -> str:
    """The run that closes a run again: sums it up and kicks off what is missing, and works no batch.

    Number 0 is the late one, of a run whose settling may outlive it.
    """
    return f"{plan_id}{_CLOSING}{number}"


def plan_of_run(run: str) -> tuple[str, int]:
    """The id of the plan that a run is of, and which of its closings it is; of the run that works the plan, 0."""
    plan, _, number = run.partition(_CLOSING)
    return plan, int(number or 0)


def plan_key(plan_id: str) -> str:
    return f"{PLANS}{plan_id}/plan.json"


def indexed_key(plan_id: str, batch: int) -> str:
    """Where `index_batch` leaves what became of each arrival of a batch (`penstock.model.outcomes.Indexed`)."""
    return f"{PLANS}{plan_id}/indexed/{batch:05d}.json"


def settling_key(plan_id: str, batch: int) -> str:
    """Where `settle_batch` writes what it is about to do, so that doing it again after a crash does the same."""
    return f"{PLANS}{plan_id}/settling/{batch:05d}.json"


def settled_batch_key(plan_id: str, batch: int) -> str:
    """Where `settle_batch` leaves what became of a batch (`penstock.model.outcomes.Settled`)."""
    return f"{PLANS}{plan_id}/settled/{batch:05d}.json"


def summary_key(plan_id: str) -> str:
    return f"{PLANS}{plan_id}/summary.json"
