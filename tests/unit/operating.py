"""An operator who retries what lies in failed/, on ports in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.fakes.search_index import FakeSearchIndex
from tests.fakes.warehouse import FakeWarehouse
from tests.unit.listing import Lister

from penstock.flows.decide_batch import Destinations
from penstock.flows.index_batch import index_batch
from penstock.flows.list_incoming import Listing
from penstock.flows.load_batch import begin_load
from penstock.flows.retry_failed import Retry, Retrying, Wanted
from penstock.flows.settle_batch import settle_batch
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.ports import RunStatus

DONE = {"status": "done"}
DOWN = {"status": "failed", "error": "TransientError", "cause": "it was asleep"}
HALF_BAD = b"id,name\n1,one\nx,two\n"
GOOD = b"id,name\n1,one\n2,two\n"
ALL = Wanted()


def dataset(name: str = "things", **changes: Any) -> Dataset:
    columns = [{"name": "id", "type": "integer", "required": True}, {"name": "name", "type": "text"}]
    return Dataset.model_validate(
        {
            "name": name,
            "prefix": f"{name}/",
            "format": "csv",
            "columns": columns,
            "table": name,
            "index": name,
            **changes,
        }
    )


@dataclass
class Operator(Lister):
    """Someone who retries what has failed, and the runs that work."""

    datasets: dict[str, Dataset] = field(default_factory=lambda: {"things": dataset()})
    warehouse: FakeWarehouse = field(default_factory=FakeWarehouse)
    search: FakeSearchIndex = field(default_factory=FakeSearchIndex)

    def put(self, name: str, content: bytes) -> Arrival:
        return self.store.put(f"incoming/things/{name}", content)

    def look(self, owner: str = "", **ports: Any) -> Listing:
        self.clock.advance(timedelta(seconds=1))
        return super().look(owner or f"listing {self.clock.now()}", **ports)

    def retrying(self, **ports: Any) -> Retrying:
        given = {"store": self.store, "leases": self.leases, "runs": self.runs, **ports}
        return Retrying(**given, clock=self.clock, datasets=self.datasets, limits=self.limits)

    def retry(self, wanted: Wanted = ALL, **ports: Any) -> Retry:
        self.clock.advance(timedelta(seconds=1))
        return self.retrying(**ports).start(wanted, "operator")

    def work(self, load: Mapping[str, Any] = DONE, index: Mapping[str, Any] = DONE, **ports: Any) -> None:
        """Every run that goes on, to its end."""
        store = ports.get("store", self.store)
        leases = ports.get("leases", self.leases)
        warehouse = ports.get("warehouse", self.warehouse)
        search = ports.get("search", self.search)
        to = Destinations(warehouse, search)
        for run in self.leases.live_runs():
            if self.runs.status(run.execution) is not RunStatus.RUNNING:
                continue
            for number in range(run.batches):
                if load is DONE:
                    begin_load(store, warehouse, self.datasets, run.id, number)
                if index is DONE:
                    index_batch(run.id, number, store, warehouse, search, self.datasets, self.clock)
                settle_batch(store, leases, to, self.clock, self.datasets, run.id, number, load, index, 3)
            self.runs.finish(run.id)

    def ingest(self) -> None:
        self.look()
        self.work()

    def shown(self, root: str) -> list[str]:
        return list(self.store.keys(root))

    def reason(self, of: Arrival) -> dict[str, Any]:
        [key] = [key for key in self.shown("failed/") if of.id in key and key.endswith(".reason.json")]
        found: dict[str, Any] = self.store.get_json(key)
        return found

    def outcome(self, of: Arrival) -> Any:
        return self.warehouse.outcomes(self.datasets["things"], [of]).get(of.id)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return self.warehouse.rows(self.datasets["things"])

    def tolerate(self) -> None:
        self.datasets["things"] = dataset(max_reject_ratio=0.5)

    def fail(self) -> Arrival:
        """A file goes to `failed/`, since half of its rows are bad."""
        arrival = self.put("2026/a.csv", HALF_BAD)
        self.ingest()
        return arrival
