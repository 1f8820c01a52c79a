"""What lies in `incoming/`, counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from penstock.model.arrivals import Arrival


@dataclass(slots=True)
class Backlog:
    """Files of a dataset: those that are not settled yet, be they leased or not, or those of them that are due."""

    files: int = 0
    bytes: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None

    def add(self, arrival: Arrival) -> None:
        self.files += 1
        self.bytes += arrival.size
        self.oldest = arrival.modified if self.oldest is None else min(self.oldest, arrival.modified)
        self.newest = arrival.modified if self.newest is None else max(self.newest, arrival.modified)

    def oldest_age(self, now: datetime) -> float:
        """Seconds; 0 when there is none."""
        return max(0.0, (now - self.oldest).total_seconds()) if self.oldest else 0.0
