"""A backfill and the listings beside it, on ports in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.unit.listing import RUN, Lister, dataset

from penstock.flows.listing_lease import LEASE
from penstock.flows.plan_backfill import PartLimits, plan_backfill
from penstock.flows.plan_of import read_batch
from penstock.flows.start_backfill import BackfillLimits, start_backfill
from penstock.flows.start_run import Limits
from penstock.model.arrivals import INCOMING, Arrival
from penstock.model.datasets import Dataset
from penstock.model.outcomes import SettledArrival, SettledBatch, Settlement
from penstock.model.plans import Batch, settled_batch_key
from penstock.ports import Move

SMALL = PartLimits(batches=4, looked_at=1000)


@dataclass
class Backfilling(Lister):
    """Its parts are planned and settled as its state machine does."""

    datasets: dict[str, Dataset] = field(
        default_factory=lambda: {
            "flights": dataset("flights", batch={"max_files": 10}, kick_off={"state_machine": "after"}),
            "weather": dataset("weather", batch={"max_files": 10}),
        }
    )
    limits: Limits = field(default_factory=lambda: Limits(100, 10**9, RUN, backfill=BackfillLimits(50)))

    def __post_init__(self) -> None:
        self.clock.advance(timedelta(days=1))  # After all that the store takes.

    def fill(self, files: int, name: str = "flights") -> list[Arrival]:
        return [self.store.put(f"incoming/{name}/{number:06d}.csv", b"1\n") for number in range(files)]

    def start(self, prefix: str = INCOMING) -> str:
        lease = self.leases.acquire_listing("cli", self.clock.now(), LEASE)
        assert lease
        live = self.leases.live_runs()
        run = start_backfill(self.leases, self.runs, self.clock, lease, live, prefix, 100, 10**9, 8)
        self.leases.release_listing(lease)
        return run

    def plan(self, run: str, part: int, limits: PartLimits = SMALL, **ports: Any) -> dict[str, Any]:
        given = {"store": self.store, "leases": self.leases, "clock": self.clock, **ports}
        return plan_backfill(**given, datasets=self.datasets, run=run, number=part, limits=limits)

    def batches(self, planned: dict[str, Any]) -> list[Batch]:
        items = self.store.get_json(planned["items"])
        assert len(items) == planned["batches"]
        return [read_batch(self.store, item["plan"], item["batch"]) for item in items]

    def settle(self, planned: dict[str, Any], leave: int = 0) -> None:
        """As the batches' own steps do; the last `leave` of them are not settled."""
        items = self.store.get_json(planned["items"])
        for item in items[: len(items) - leave]:
            batch = read_batch(self.store, item["plan"], item["batch"])
            self.store.move([Move(one, f"processed/{one.id}-x") for one in batch.arrivals])
            settled = tuple(SettledArrival(one.id, one.key, Settlement.PROCESSED, rows=1) for one in batch.arrivals)
            done = SettledBatch(item["plan"], item["batch"], batch.dataset, settled)
            self.store.put_json(settled_batch_key(item["plan"], item["batch"]), done.to_json())

    def work(self, run: str, limits: PartLimits = SMALL, **ports: Any) -> list[dict[str, Any]]:
        """All of its parts, as the machine goes through them."""
        parts = [self.plan(run, 0, limits, **ports)]
        while parts[-1]["batches"] or parts[-1]["more"]:
            if parts[-1]["batches"]:
                self.settle(parts[-1])
            parts.append(self.plan(run, parts[-1]["part"], limits, **ports))
        return parts
