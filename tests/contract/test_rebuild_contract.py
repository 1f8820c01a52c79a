"""What a replay asks of a warehouse's second table: held against the fake, the real PostgreSQL and Redshift."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from tests.conftest import Postgres
from tests.contract.redshift import BUCKET, RedshiftKit
from tests.contract.warehouses import PostgresKit, dataset_of, load
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.rebuild import FakeRebuild
from tests.fakes.warehouse import FakeWarehouse

from penstock.adapters.postgres import PostgresRebuild, PostgresWarehouse
from penstock.flows.replay_dataset import rebuilt_dataset
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.model.outcomes import Verdict
from penstock.ports import Rebuild, Warehouse

NOW = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
GOOD = b"id,name,delay\n1,one,-5\n2,,\n"
BAD = b"id,name,delay\nx,one,-5\n"


@dataclass
class Kit:
    """`warehouse` loads both tables: the rebuilt one is the owner's."""

    warehouse: Warehouse
    rebuild: Rebuild
    live: Dataset
    store: FakeObjectStore = field(default_factory=FakeObjectStore)

    def __post_init__(self) -> None:
        self.rebuilt = rebuilt_dataset(self.live, "", [self.live])
        self.rebuild.prepare(self.live)

    def load(self, dataset: Dataset, *arrivals: Arrival) -> None:
        for arrival in arrivals:
            load(self.warehouse, dataset, self.store, arrival)

    def put(self, name: str, content: bytes = GOOD) -> Arrival:
        return self.store.put(f"incoming/{self.live.prefix}{name}", content)

    def rows(self, dataset: Dataset) -> dict[str, int]:
        return dict(self.warehouse.rows_by_arrival(dataset))

    def verdict(self, dataset: Dataset, arrival: Arrival) -> Verdict | None:
        found: Any = self.warehouse.outcomes(dataset, [arrival]).get(arrival.id)
        return cast("Verdict", found.verdict) if found else None


@pytest.fixture(params=["fake", "postgres", "redshift"])
def kit(request: pytest.FixtureRequest) -> Iterator[Kit]:
    live = dataset_of(max_reject_ratio=0.0)
    if request.param == "fake":
        warehouse = FakeWarehouse()
        yield Kit(warehouse, FakeRebuild(warehouse), live)
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    if request.param == "redshift":
        redshift = RedshiftKit(lambda: postgres.superuser)
        redshift.apply(live)
        yield Kit(redshift.owning(), redshift.rebuild(), live, FakeObjectStore(BUCKET))
        redshift.close()
        return
    applied = PostgresKit(postgres.owner, postgres.loader)
    applied.apply(live)
    applied.close()
    owner, rebuild = PostgresWarehouse(postgres.owner), PostgresRebuild(postgres.owner)
    yield Kit(owner, rebuild, live)
    owner.close()
    rebuild.close()


def test_what_the_ledger_decided_is_known_with_what_identifies_it(kit: Kit) -> None:
    good, bad, odd = kit.put("a.csv"), kit.put("bad.csv", BAD), kit.put("\0 \\x00.csv")
    kit.load(kit.live, good, bad, odd)

    known = {
        one.arrival: (one.key, one.version_id, one.etag, one.size, one.modified) for one in kit.rebuild.known(kit.live)
    }

    assert known == {one.id: (one.key, one.version_id, one.etag, one.size, one.modified) for one in (good, bad, odd)}
    assert list(kit.rebuild.known(kit.rebuilt)) == []


def test_a_table_is_prepared_once_and_a_replay_that_goes_on_finds_it(kit: Kit) -> None:
    name = f"public.{kit.live.name}_replay"
    first = kit.rebuild.prepare(kit.rebuilt)
    kit.load(kit.rebuilt, kit.put("a.csv"))

    second = kit.rebuild.prepare(kit.rebuilt)

    assert (list(first), list(second)) == ([f"created table {name}"], [])


def test_equal_tables_are_equal_and_rows_that_differ_are_named_by_their_file(kit: Kit) -> None:
    same, other = kit.put("a.csv"), kit.put("b.csv")
    kit.load(kit.live, same, other)
    kit.rebuild.prepare(kit.rebuilt)
    kit.load(kit.rebuilt, same, other)
    equal = kit.rebuild.compare(kit.live, kit.rebuilt)
    more = kit.put("c.csv")
    kit.load(kit.rebuilt, more)

    found = kit.rebuild.compare(kit.live, kit.rebuilt)

    assert (equal.equal, equal.live_rows, equal.rebuilt_rows, equal.columns) == (True, 4, 4, ("id", "name", "delay"))
    assert (found.equal, found.differing, found.only_live, found.only_rebuilt) == (False, 1, 0, 2)
    assert [(one.arrival, one.key, one.live, one.rebuilt) for one in found.differences] == [(more.id, more.key, 0, 2)]


def test_what_was_not_replayed_is_counted_apart(kit: Kit) -> None:
    kit.load(kit.live, kit.put("a.csv"))
    kit.rebuild.prepare(kit.rebuilt)

    found = kit.rebuild.compare(kit.live, kit.rebuilt)

    assert (found.equal, found.differing, found.beyond, found.beyond_rows) == (False, 0, 1, 2)


def test_a_swap_takes_the_ledger_along_and_leaves_quarantines_where_retries_look(kit: Kit) -> None:
    good, bad, more = kit.put("a.csv"), kit.put("bad.csv", BAD), kit.put("c.csv")
    kit.load(kit.live, good, bad)
    kit.rebuild.prepare(kit.rebuilt)
    kit.load(kit.rebuilt, good, more)

    kept = kit.rebuild.swap(kit.live, kit.rebuilt, NOW)

    old = rebuilt_dataset(kit.live, kept, [])
    assert kept == f"public.{kit.live.name}_before_20260115t100000"
    assert (kit.rows(kit.live), kit.rows(old)) == ({good.id: 2, more.id: 2}, {good.id: 2})
    assert kit.verdict(kit.live, bad) is Verdict.QUARANTINED
    assert [kit.verdict(old, one) for one in (good, bad, more)] == [Verdict.LOADED, None, None]
    assert [one.arrival for one in kit.rebuild.known(kit.rebuilt)] == []


def test_a_file_that_only_the_live_ledger_knows_stops_the_swap_and_changes_nothing(kit: Kit) -> None:
    early, late = kit.put("a.csv"), kit.put("b.csv")
    kit.load(kit.live, early, late)
    kit.rebuild.prepare(kit.rebuilt)
    kit.load(kit.rebuilt, early)

    with pytest.raises(PermanentError, match="1 files are in the ledger"):
        kit.rebuild.swap(kit.live, kit.rebuilt, NOW)

    assert (kit.rows(kit.live), kit.rows(kit.rebuilt)) == ({early.id: 2, late.id: 2}, {early.id: 2})


def test_a_table_that_nobody_reads_has_no_readers(kit: Kit) -> None:
    assert list(kit.rebuild.readers(kit.live)) == []
