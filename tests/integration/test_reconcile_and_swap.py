"""A replay puts another table in a table's place while a round counts it: on PostgreSQL and Redshift's stand-in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import psycopg
import pytest
from tests.conftest import Postgres
from tests.contract.redshift import BUCKET, RedshiftKit
from tests.contract.warehouses import PostgresKit, dataset_of, load
from tests.fakes.object_store import FakeObjectStore
from tests.unit.reconciling import World, replay_and_swap
from tests.unit.test_reconcile_in_parts import completed, kinds, read_to, rounds

from penstock.adapters.postgres import PostgresRebuild, PostgresWarehouse
from penstock.model.datasets import Dataset
from penstock.model.reconciliation import Kind
from penstock.ports import Rebuild, Warehouse

NOBODY = "f" * 31 + "e"
"""In the last part of either warehouse."""
CONTENT = b"id,name,delay\n" + b"".join(b"%d,a name of some length,\n" % number for number in range(1000)) + b"x,,\n"
TEXTS = [{"name": name, "type": "text"} for name in ("id", "name", "delay")]


@dataclass
class Real:
    warehouse: Warehouse
    rebuild: Rebuild
    do: Callable[[str], None]
    """As the tables' owner."""
    live: Dataset


@pytest.fixture(params=["postgres", "redshift"])
def real(request: pytest.FixtureRequest, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Real]:
    monkeypatch.setattr("penstock.adapters.postgres.row_parts.PAGES", 2)
    monkeypatch.setattr("penstock.adapters.redshift.row_parts.FILES", 1)
    live = dataset_of(max_reject_ratio=0.5)
    if request.param == "redshift":
        redshift = RedshiftKit(lambda: postgres.superuser)
        redshift.apply(live)
        yield Real(redshift.owning(), redshift.rebuild(), redshift.do, live)
        redshift.close()
        return
    kit = PostgresKit(postgres.owner, postgres.loader)
    kit.apply(live)
    kit.close()
    owner, rebuild = PostgresWarehouse(postgres.owner), PostgresRebuild(postgres.owner)

    def do(statement: str) -> None:
        with psycopg.connect(postgres.owner) as connection:
            connection.execute(statement.encode())

    yield Real(owner, rebuild, do, live)
    owner.close()
    rebuild.close()


def test_a_swap_while_the_rows_are_counted_is_no_disagreement_and_rows_of_nobody_are_one(real: Real) -> None:
    world = World(of=real.live, store=FakeObjectStore(BUCKET), warehouse=cast("Any", real.warehouse))
    for number in range(6):
        arrival = world.store.put(f"incoming/{real.live.prefix}{number}.csv", CONTENT)
        load(real.warehouse, real.live, world.store, arrival)
        world.settle(arrival)
    agrees = kinds(completed(world, 10_000)[0])
    found = read_to(world, "rows")
    while found.now.after == "":
        found = rounds(world, 1).go_on("call", begins=False) or found
    counted = found.now.after

    anew = real.live.model_copy(update={"columns": dataset_of(TEXTS).columns})
    replay_and_swap(world, real.rebuild, anew)
    real.do(f"INSERT INTO {real.live.name} (id, penstock_arrival) VALUES ('1', '{NOBODY}')")
    report, _ = completed(world, 1, begins=False)

    assert (agrees, counted != "") == ({}, True)
    assert kinds(report) == {NOBODY: {Kind.UNKNOWN_ROWS}}
    assert report.total == 1
