"""Listing incoming/, on ports in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.runs import FakeRuns

from penstock.flows.list_incoming import Listing, list_incoming
from penstock.flows.plan_of import read_plan
from penstock.flows.start_run import Limits
from penstock.model.datasets import Dataset

RUN = timedelta(hours=1)


def dataset(name: str, **changes: Any) -> Dataset:
    column = {"name": "id", "type": "integer"}
    return Dataset.model_validate(
        {"name": name, "prefix": f"{name}/", "format": "csv", "columns": [column], "table": name, **changes}
    )


@dataclass
class Lister:
    """Its runs are started, and go on until a test ends them."""

    datasets: dict[str, Dataset] = field(
        default_factory=lambda: {name: dataset(name, batch={"max_files": 10}) for name in ("flights", "weather")}
    )
    limits: Limits = field(default_factory=lambda: Limits(100, 10**9, RUN))
    store: FakeObjectStore = field(default_factory=FakeObjectStore)
    leases: FakeLeases = field(default_factory=FakeLeases)
    runs: FakeRuns = field(default_factory=FakeRuns)
    clock: FakeClock = field(default_factory=FakeClock)

    def look(self, owner: str = "listing", **ports: Any) -> Listing:
        given = {"store": self.store, "leases": self.leases, "runs": self.runs, "clock": self.clock, **ports}
        return list_incoming(**given, datasets=self.datasets, limits=self.limits, owner=owner)

    def leased(self) -> list[str]:
        """The arrival ids of all live runs, one after the other."""
        return [one.id for run in self.leases.live_runs() for one in read_plan(self.store, run.id).arrivals]
