"""Datasets that wait for files, and listings of them on ports in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from tests.unit.listing import Lister, dataset

from penstock.flows.plan_of import read_plan
from penstock.model.datasets import Dataset
from penstock.model.memos import DatasetMemo
from penstock.ports import Memo

MINUTE = timedelta(minutes=1)


@dataclass
class Gathering(Lister):
    """What a listing plans is settled at once."""

    datasets: dict[str, Dataset] = field(
        default_factory=lambda: {
            "clicks": dataset("clicks", flush={"files": 5, "bytes": "1 KiB", "after": "5m"}, expect_every="1h"),
            "orders": dataset("orders"),
        }
    )
    number: int = 0

    def put(self, name: str, files: int = 1, data: bytes = b"1\n") -> None:
        for _ in range(files):
            self.number += 1
            self.store.put(f"incoming/{name}/{self.number:04d}.csv", data, modified=self.clock.now())

    def planned(self) -> int:
        """Files of the plans of a listing, whose runs end and settle them."""
        files = 0
        for plan in self.look().plans:
            arrivals = read_plan(self.store, plan).arrivals
            files += len(arrivals)
            for arrival in arrivals:
                del self.store._versions[arrival.key]
            self.runs.finish(plan)
        return files

    def memo(self, name: str = "clicks") -> DatasetMemo:
        return DatasetMemo.of(self.leases.memos()[name].text)

    def write_memo(self, text: str, name: str = "clicks") -> None:
        version = self.leases.memos()[name].version if name in self.leases.memos() else 0
        assert self.leases.keep_memo(Memo(name, text, version))
