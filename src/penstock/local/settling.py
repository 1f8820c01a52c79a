"""Waits until keys that were put have left `incoming/`, and says where they went."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from penstock.local.deployment import Deployment
from penstock.local.runs import list_runs
from penstock.model.arrivals import INCOMING, PLANS
from penstock.model.outcomes import SettledArrival, SettledBatch, Settlement

EVERY = 0.5
"""Seconds between two looks."""


@dataclass(frozen=True)
class Settled:
    """What became of a key. `rows` and the others are zero for a file that was put back first and settled later."""

    key: str
    failed: bool
    reason: str
    rows: int
    documents: int
    duplicate: bool

    def to_json(self) -> dict[str, Any]:
        return dict(self.__dict__)


def wait_for(deployment: Deployment, keys: set[str], tell: Callable[[int], None]) -> list[Settled]:
    """Blocks until none of `keys` is in `incoming/`; `tell` hears how many still are. By key."""
    while left := _left(deployment, keys):
        tell(left)
        time.sleep(EVERY)
    newest: dict[str, SettledArrival] = {}
    for arrival in settled_arrivals(deployment):
        if arrival.key in keys:
            newest.setdefault(arrival.key, arrival)
    return [
        Settled(key, found.settlement is Settlement.FAILED, found.reason, found.rows, found.documents, found.duplicate)
        for key, found in sorted(newest.items())
    ]


def settled_arrivals(deployment: Deployment, runs: int = 50) -> Iterator[SettledArrival]:
    """What the newest runs settled, the newest run first; what they put back is left out."""
    for run in list_runs(deployment, runs):
        for key in deployment.store.keys(f"{PLANS}{run.id}/settled/"):
            for arrival in SettledBatch.from_json(deployment.store.get_json(key)).arrivals:
                if arrival.settlement is not Settlement.PUT_BACK:
                    yield arrival


def _left(deployment: Deployment, keys: set[str]) -> int:
    return sum(1 for arrival in deployment.store.arrivals(INCOMING) if arrival.key in keys)
