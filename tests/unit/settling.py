"""A batch that is settled, on ports in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.search_index import FakeSearchIndex
from tests.fakes.warehouse import FakeWarehouse

from penstock.flows.decide_batch import Destinations
from penstock.flows.index_batch import index_batch
from penstock.flows.load_batch import begin_load
from penstock.flows.settle_batch import settle_batch
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.model.outcomes import SettledArrival, SettledBatch
from penstock.model.plans import Batch, Plan, plan_key, settled_batch_key
from penstock.ports import Move

PLAN = "20260115T100000-000-aaaaaaaa"
DONE = {"status": "done"}
MOST = 3


def failed(cause: str = "it was asleep") -> dict[str, str]:
    return {"status": "failed", "error": "TransientError", "cause": cause}


def dataset(*, table: bool = True, index: bool = True, **changes: Any) -> Dataset:
    columns = [{"name": "id", "type": "integer", "required": True}, {"name": "name", "type": "text"}]
    given = {"name": "things", "prefix": "things/", "format": "csv", "columns": columns, **changes}
    return Dataset.model_validate(
        {
            **given,
            **({"table": "things"} if table else {}),
            **({"index": given.get("index", "things")} if index else {}),
        }
    )


GOOD = b"id,name\n1,one\n2,two\n"
HALF = b"id,name\n1,one\nx,two\n"
ONE_BAD_ROW = b"id,name\n1,one\nx,two\n3,three\n4,four\n"


@dataclass
class Settling:
    of: Dataset = field(default_factory=dataset)
    store: FakeObjectStore = field(default_factory=FakeObjectStore)
    leases: FakeLeases = field(default_factory=FakeLeases)
    warehouse: FakeWarehouse = field(default_factory=FakeWarehouse)
    search: FakeSearchIndex = field(default_factory=FakeSearchIndex)
    clock: FakeClock = field(default_factory=FakeClock)
    has_search: bool = True
    plans: int = 0

    def put(self, name: str, content: bytes) -> Arrival:
        return self.store.put(f"incoming/things/{name}", content)

    def plan(self, *arrivals: Arrival, name: str = "things") -> str:
        self.plans += 1
        plan = f"{PLAN}{self.plans}"
        document = Plan(plan, self.clock.now(), (Batch(0, name, arrivals),)).to_json()
        self.store.put_json(plan_key(plan), document)
        return plan

    def work(self, plan: str, *, load: bool = True, index: bool = True) -> None:
        if load:
            begin_load(self.store, self.warehouse, self.datasets, plan, 0)
        if index:
            index_batch(plan, 0, self.store, self.warehouse, self._search, self.datasets, self.clock)

    def settle(
        self, plan: str, load: Mapping[str, Any] = DONE, index: Mapping[str, Any] = DONE, **ports: Any
    ) -> dict[str, int]:
        given = {
            "store": self.store,
            "leases": self.leases,
            "warehouse": self.warehouse,
            "search": self._search,
            **ports,
        }
        to = Destinations(given["warehouse"], given["search"])
        return settle_batch(given["store"], given["leases"], to, self.clock, self.datasets, plan, 0, load, index, MOST)

    def run(self, *arrivals: Arrival) -> dict[str, SettledArrival]:
        """A whole batch; what became of each arrival."""
        plan = self.plan(*arrivals)
        self.work(plan)
        self.settle(plan)
        return self.settled(plan)

    def settled(self, plan: str) -> dict[str, SettledArrival]:
        batch = SettledBatch.from_json(self.store.get_json(settled_batch_key(plan, 0)))
        return {one.arrival: one for one in batch.arrivals}

    @property
    def _search(self) -> FakeSearchIndex | None:
        return self.search if self.has_search else None

    @property
    def datasets(self) -> dict[str, Dataset]:
        return {self.of.name: self.of}

    def lines(self, key: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.store.content(key).splitlines()]


class Refusing:
    """S3 with a policy that lets nobody write keys that end so."""

    def __init__(self, store: Any, ending: str) -> None:
        self._store = store
        self._ending = ending

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put_json(self, key: str, document: Any) -> None:
        self._look(key)
        self._store.put_json(key, document)

    def put_lines(self, key: str, lines: Any) -> None:
        self._look(key)
        self._store.put_lines(key, lines)

    def move(self, moves: Sequence[Move]) -> dict[str, str]:
        refused = {one.arrival.id: f"copy {one.to}: AccessDenied" for one in moves if one.to.endswith(self._ending)}
        return {**self._store.move([one for one in moves if one.arrival.id not in refused]), **refused}

    def _look(self, key: str) -> None:
        if key.endswith(self._ending):
            raise PermanentError(f"write {key}: AccessDenied")
