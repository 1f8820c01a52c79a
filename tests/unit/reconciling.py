"""A stack in memory whose S3, ledger, rows and documents can be made to disagree."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson
from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.runs import FakeRuns
from tests.fakes.search_index import FakeSearchIndex
from tests.fakes.warehouse import FakeWarehouse

from penstock.flows.reconcile import Kept, Scope, reconcile
from penstock.flows.replay_dataset import Window, batches_of, load_again, rebuilt_dataset, replayed, swap
from penstock.flows.set_aside import REJECTS, companion_key
from penstock.model.arrivals import FAILED, PROCESSED, Arrival, settled_key
from penstock.model.datasets import Dataset
from penstock.model.outcomes import Verdict
from penstock.model.plans import Batch, Plan, plan_key
from penstock.model.reconciliation import Kind, Reconciliation
from penstock.ports import Document, ListingLease, Move, Rebuild, RunRecord

GOOD = b"id,name\n1,one\n2,two\n"
BAD = b"id,name\nx,one\n2,two\n"


def dataset(name: str = "things", **changes: Any) -> Dataset:
    columns = [{"name": "id", "type": "integer", "required": True}, {"name": "name", "type": "text"}]
    given = {"name": name, "prefix": f"{name}/", "format": "csv", "columns": columns, "table": name, "index": name}
    return Dataset.model_validate({**given, **changes})


@dataclass
class World:
    of: Dataset = field(default_factory=dataset)
    store: FakeObjectStore = field(default_factory=FakeObjectStore)
    leases: FakeLeases = field(default_factory=FakeLeases)
    runs: FakeRuns = field(default_factory=FakeRuns)
    warehouse: FakeWarehouse = field(default_factory=FakeWarehouse)
    search: FakeSearchIndex = field(default_factory=FakeSearchIndex)
    clock: FakeClock = field(default_factory=FakeClock)
    others: tuple[Dataset, ...] = ()

    def load(self, name: str, content: bytes = GOOD, of: Dataset | None = None) -> Arrival:
        """Put, loaded and indexed, and not settled yet."""
        of = of or self.of
        arrival = self.store.put(f"incoming/{of.prefix}{name}", content)
        rows = 0
        if of.table:
            self.warehouse.begin(Batch(0, of.name, (arrival,)), of, self.store)
            outcome = self.warehouse.outcomes(of, [arrival])[arrival.id]
            rows = outcome.rows if outcome.verdict is Verdict.LOADED else 0
            for old in outcome.replaced:
                self.search.delete_arrival(of.name, old)
        self.index(arrival, rows, of)
        return arrival

    def index(self, arrival: Arrival, documents: int, of: Dataset | None = None) -> None:
        source = orjson.dumps({"penstock_arrival": arrival.id})
        self.search.write(
            (of or self.of).name, [Document(f"{arrival.id}-{number}", source, number) for number in range(documents)]
        )

    def settle(self, arrival: Arrival, root: str = PROCESSED, of: Dataset | None = None) -> str:
        of = of or self.of
        key = settled_key(root, of.name, of.prefix, arrival)
        self.store.move([Move(arrival, key)])
        if list(self.warehouse.rejects(of, arrival)):
            self.tell_rejects(arrival, "warehouse", 1)
        return key

    def tell_rejects(self, arrival: Arrival, by: str, rejects: int) -> None:
        lines = [orjson.dumps({"by": by, "line": number}) for number in range(rejects)]
        self.store.put_lines(companion_key(arrival, self.of.name, self.of.prefix, REJECTS), lines)

    def done(self, name: str, content: bytes = GOOD, **given: Any) -> Arrival:
        arrival = self.load(name, content)
        outcome = self.warehouse.outcomes(self.of, [arrival])[arrival.id]
        self.settle(arrival, FAILED if outcome.verdict is Verdict.QUARANTINED else PROCESSED, **given)
        return arrival

    def run(self, *arrivals: Arrival, name: str = "20260115T100000-000-aaaaaaaa", started: bool = True) -> None:
        """A live run that holds them."""
        self.store.put_json(plan_key(name), Plan(name, self.clock.now(), (Batch(0, self.of.name, arrivals),)).to_json())
        lease = self.leases.acquire_listing("test", self.clock.now(), timedelta(minutes=1)) or ListingLease(
            "", 0, self.clock.now()
        )
        record = RunRecord(
            id=name,
            execution=self.runs.execution_of(name),
            started=self.clock.now(),
            expires=self.clock.now() + timedelta(hours=1),
            batches=1,
            files=len(arrivals),
            bytes=1,
            datasets={},
        )
        self.leases.record_run(lease, record)
        self.leases.release_listing(lease)
        if started:
            self.runs.start(name, 1)

    def reconcile(self, scope: Scope | None = None, kept: Kept | None = None, **ports: Any) -> Reconciliation:
        given = {"store": self.store, "warehouse": self.warehouse, "search": self.search, **ports}
        return reconcile(
            given["store"],
            self.leases,
            self.runs,
            given["warehouse"],
            given["search"],
            self.clock,
            {one.name: one for one in (self.of, *self.others)},
            scope or Scope(),
            kept or Kept(),
        )

    def kinds(self, **given: Any) -> dict[str, set[Kind]]:
        """What is found, by arrival id."""
        found: dict[str, set[Kind]] = {}
        for one in self.reconcile(**given).disagreements:
            assert one.what.endswith(".")
            assert one.todo.endswith(".")
            found.setdefault(one.arrival, set()).add(one.kind)
        return found


def replay_and_swap(world: World, rebuild: Rebuild, anew: Dataset) -> None:
    """As `penstock replay --swap --accept-differences`, by a definition that makes other rows of the same files."""
    live, rebuilt = world.of, rebuilt_dataset(anew, "", [world.of])
    rebuild.prepare(rebuilt)
    arrivals = replayed(world.store, rebuild.known(live), live, Window())
    load_again(world.store, world.warehouse, rebuilt, batches_of(rebuilt, arrivals))
    swap(rebuild, world.clock, live, rebuilt, rebuild.compare(live, rebuilt), accept_differences=True)
