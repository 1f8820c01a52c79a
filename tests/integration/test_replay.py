"""A table is built anew from `processed/`, compared with the live one, and put in its place, on either warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tests.conftest import Postgres
from tests.contract.redshift import BUCKET, RedshiftKit
from tests.contract.warehouses import PostgresKit, dataset_of, load
from tests.fakes.clock import FakeClock
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.search_index import FakeSearchIndex

from penstock.adapters.postgres import PostgresRebuild, PostgresWarehouse
from penstock.flows.index_batch import Indexing
from penstock.flows.replay_dataset import (
    Loaded,
    Window,
    batches_of,
    load_again,
    rebuilt_dataset,
    replayed,
    swap,
)
from penstock.local.redshift.statements import DATABASE
from penstock.model.arrivals import FAILED, PROCESSED, Arrival, Location, settled_key
from penstock.model.datasets import ColumnType, Dataset
from penstock.model.errors import PermanentError
from penstock.model.outcomes import Verdict
from penstock.model.replays import Comparison
from penstock.ports import Move, Rebuild, Warehouse

GOOD = b"id,name,delay\n1,one,-5\n2,,\n"
BAD = b"id,name,delay\nx,one,-5\n"


@dataclass
class World:
    """`owner` is a connection string to the database that the tables are in, and `loading` loads as their owner."""

    superuser: str
    owner: str
    kit: PostgresKit | RedshiftKit
    rebuild: Rebuild
    loading: Warehouse
    live: Dataset
    store: FakeObjectStore = field(default_factory=lambda: FakeObjectStore(BUCKET))
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.kit.apply(self.live)
        self.rebuilt = rebuilt_dataset(self.live, "", [self.live])

    def ingest(self, name: str, content: bytes) -> Arrival:
        arrival = self.store.put(f"incoming/{self.live.prefix}{name}", content)
        verdict = load(self.kit.warehouse, self.live, self.store, arrival)[arrival.id].verdict
        root = FAILED if verdict is Verdict.QUARANTINED else PROCESSED
        self.store.move([Move(arrival, settled_key(root, self.live.name, self.live.prefix, arrival))])
        return arrival

    def replay(self, window: Window = Window(), dataset: Dataset | None = None) -> tuple[Loaded, Comparison]:  # noqa: B008 - it is frozen
        rebuilt = dataset or self.rebuilt
        arrivals = replayed(self.store, self.rebuild.known(self.live), self.live, window)
        self.rebuild.prepare(rebuilt)
        done = load_again(self.store, self.loading, rebuilt, batches_of(self.live, arrivals))
        return done, self.rebuild.compare(self.live, rebuilt)

    def swap(self, found: Comparison, *, accept: bool = False) -> str:
        return swap(self.rebuild, self.clock, self.live, self.rebuilt, found, accept_differences=accept)

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        table = self.live.table
        assert table
        with psycopg.connect(self.owner) as connection:
            statement = sql.SQL(query).format(live=sql.Identifier(table.schema_name, table.name))
            answer = connection.execute(statement, values)
            return answer.fetchall() if answer.description else []

    def target(self, of: Arrival) -> list[tuple[Any, ...]]:
        return self.ask("SELECT target, verdict FROM penstock.load WHERE arrival = %s ORDER BY target", of.id)


@contextmanager
def world_of(warehouse: str, postgres: Postgres, live: Dataset) -> Iterator[World]:
    if warehouse == "redshift":
        with closing(RedshiftKit(lambda: postgres.superuser)) as on_redshift:
            owner = make_conninfo(postgres.owner, dbname=DATABASE)
            yield World(postgres.superuser, owner, on_redshift, on_redshift.rebuild(), on_redshift.owning(), live)
        return
    with (
        closing(PostgresKit(postgres.owner, postgres.loader)) as kit,
        closing(PostgresRebuild(postgres.owner)) as rebuild,
        closing(PostgresWarehouse(postgres.owner)) as loading,
    ):
        yield World(postgres.superuser, postgres.owner, kit, rebuild, loading, live)


@pytest.fixture(params=["postgres", "redshift"])
def warehouse(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(warehouse: str, postgres: Postgres) -> Iterator[World]:
    with world_of(warehouse, postgres, dataset_of(max_reject_ratio=0.0)) as made:
        yield made


@pytest.fixture
def replacing(warehouse: str, postgres: Postgres) -> Iterator[World]:
    with world_of(warehouse, postgres, dataset_of(on_overwrite="replace")) as made:
        yield made


@pytest.fixture
def merging(warehouse: str, postgres: Postgres) -> Iterator[World]:
    columns: list[dict[str, Any]] = [
        {"name": "id", "type": "integer", "required": True},
        {"name": "name", "type": "text"},
        {"name": "delay", "type": "smallint", "required": True},
    ]
    upsert = {"key": ["id"], "order_by": "delay"}
    dataset = dataset_of(columns, upsert=upsert, index={"name": "merged", "id_columns": ["id"]})
    with world_of(warehouse, postgres, dataset) as made:
        yield made


def test_merged_files_become_the_same_table_in_whatever_order_they_are_replayed(merging: World) -> None:
    bodies = [b"1,a,5\n2,a,5\n3,a,9\n", b"1,b,5\n2,b,4\n", b"1,c,5\n1,d,5\n4,c,1\n", b"3,e,8\n2,e,5\n"]
    for number, body in enumerate(bodies):
        merging.ingest(f"{number}.csv", b"id,name,delay\n" + body)
    arrivals = replayed(merging.store, merging.rebuild.known(merging.live), merging.live, Window())
    merging.rebuild.prepare(merging.rebuilt)

    done = load_again(merging.store, merging.loading, merging.rebuilt, batches_of(merging.live, arrivals[::-1]))

    found = merging.rebuild.compare(merging.live, merging.rebuilt)
    assert done.files == len(bodies)
    assert (found.live_rows, found.rebuilt_rows, found.differing) == (4, 4, 0)
    assert merging.ask("SELECT id, name FROM {live} ORDER BY id") == [(1, "d"), (2, "e"), (3, "a"), (4, "c")]


@pytest.fixture
def once(warehouse: str, postgres: Postgres) -> Iterator[World]:
    with world_of(warehouse, postgres, dataset_of(event_id="id")) as made:
        yield made


def test_of_an_event_that_came_again_with_other_values_a_replay_keeps_the_row_that_was_kept(once: World) -> None:
    once.ingest("first.csv", b"id,name,delay\n1,first,1\n2,first,1\n")
    together = [
        once.store.put(f"incoming/{once.live.prefix}{name}.csv", f"id,name,delay\n1,{name},2\n{rest}".encode())
        for name, rest in (("z", "3,z,1\n3,again,1\n"), ("b", "3,b,1\n4,b,1\n"), ("a", "4,a,1\n5,a,1\n"))
    ]
    load(once.kit.warehouse, once.live, once.store, *together[::-1])
    for arrival in together:
        once.store.move([Move(arrival, settled_key(PROCESSED, once.live.name, once.live.prefix, arrival))])

    done, found = once.replay()

    assert (done.files, done.rows) == (4, 5)
    assert (found.live_rows, found.rebuilt_rows, found.equal) == (5, 5, True)


def test_a_swapped_table_is_merged_into_and_its_rows_have_greater_versions(merging: World) -> None:
    first = merging.ingest("1.csv", b"id,name,delay\n1,a,5\n2,a,5\n")
    search = FakeSearchIndex()
    (before, _) = merging.kit.warehouse.merged_rows(merging.live, first)
    Indexing(merging.live, "merged", merging.store, search, merging.clock.now()).index_merged(first, merging.loading)
    merging.swap(merging.replay()[1])
    (after, _) = merging.kit.warehouse.merged_rows(merging.live, first)

    second = merging.ingest("2.csv", b"id,name,delay\n1,b,6\n")

    for arrival in (second, first):
        indexing = Indexing(merging.live, "merged", merging.store, search, merging.clock.now())
        indexing.index_merged(arrival, merging.kit.warehouse)
    (newest,) = merging.kit.warehouse.merged_rows(merging.live, second)
    assert merging.ask("SELECT id, name FROM {live} ORDER BY id") == [(1, "b"), (2, "a")]
    assert before.version < after.version < newest.version
    found = search.documents["merged"].values()
    assert sorted((one["id"], one["name"], one["penstock_arrival"]) for one in found) == [
        (1, "b", second.id),
        (2, "a", first.id),
    ]


def test_what_was_processed_becomes_the_same_table_again(world: World) -> None:
    for day in range(3):
        world.ingest(f"2026/{day}.csv", GOOD + b"%d,day,\n" % day)
    world.ingest("2026/2.csv", GOOD + b"2,day,\n")
    world.ingest("bad.csv", BAD)

    done, found = world.replay()

    assert (done.files, done.before, done.rows, done.duplicates) == (4, 0, 9, 1)
    assert found.equal
    assert (found.live_rows, found.rebuilt_rows, found.columns) == (9, 9, ("id", "name", "delay"))


def test_a_replay_that_was_stopped_goes_on_where_it_was(world: World) -> None:
    for day in range(4):
        world.ingest(f"{day}.csv", GOOD)
    one_each = world.live.model_copy(update={"batch": world.live.batch.model_copy(update={"max_files": 1})})
    batches = batches_of(one_each, replayed(world.store, world.rebuild.known(world.live), world.live, Window()))
    world.rebuild.prepare(world.rebuilt)
    load_again(world.store, world.loading, world.rebuilt, batches[:2])

    done, found = world.replay()

    assert (len(batches), done.files, done.before) == (4, 4, 2)
    assert found.equal


def test_of_two_versions_of_a_key_the_later_one_is_left(replacing: World) -> None:
    for content in (b"id,name,delay\n1,old,\n", b"id,name,delay\n1,new,\n"):
        replacing.ingest("a.csv", content)

    _, found = replacing.replay()

    assert found.equal
    assert replacing.kit.rows(replacing.rebuilt) == [(1, "new", None)]


def test_rows_that_differ_are_counted_and_their_files_named(world: World) -> None:
    # On Redshift files of one COPY are not told apart.
    world.live = world.live.model_copy(update={"batch": world.live.batch.model_copy(update={"max_files": 1})})
    arrival = world.ingest("a.csv", GOOD)
    world.ingest("b.csv", GOOD)
    world.ask("UPDATE {live} SET name = 'changed' WHERE id = 1 AND penstock_arrival = %s", arrival.id)

    _, found = world.replay()

    assert not found.equal
    assert (found.differing, found.only_live, found.only_rebuilt) == (1, 1, 1)
    assert [(one.arrival, one.key, one.live, one.rebuilt) for one in found.differences] == [
        (arrival.id, arrival.key, 2, 2)
    ]
    with pytest.raises(PermanentError, match="--accept-differences"):
        world.swap(found)


def test_files_of_one_copy_are_compared_together_and_a_part_of_them_by_its_number(postgres: Postgres) -> None:
    with world_of("redshift", postgres, dataset_of()) as world:
        files = [
            world.store.put(f"incoming/{world.live.prefix}{day}.csv", GOOD + b"%d,day,\n" % day) for day in range(3)
        ]
        load(world.kit.warehouse, world.live, world.store, *files)
        moved = [settled_key(PROCESSED, world.live.name, world.live.prefix, file) for file in files]
        world.store.move([Move(file, to) for file, to in zip(files, moved, strict=True)])

        _, part = world.replay(Window(since=files[-1].modified))
        _, whole = world.replay()
        world.ask("UPDATE {live} SET name = 'changed' WHERE id = 0")
        _, changed = world.replay()

    assert (part.differing, part.beyond, part.beyond_rows, part.rebuilt_rows) == (0, 2, 6, 3)
    assert whole.equal
    assert (changed.differing, changed.only_live, changed.only_rebuilt) == (1, 1, 1)
    assert [(one.live, one.rebuilt) for one in changed.differences] == [(9, 9)]


def test_a_window_replays_a_part_and_can_take_no_place(world: World) -> None:
    early, late = world.ingest("a.csv", GOOD), world.ingest("b.csv", GOOD)

    done, found = world.replay(Window(since=late.modified, until=late.modified + timedelta(days=1)))

    assert (done.files, found.differing, found.beyond, found.beyond_rows) == (1, 0, 1, 2)
    with pytest.raises(PermanentError, match="1 files are in the ledger"):
        world.swap(found, accept=True)
    assert world.target(early) == [(f"public.{world.live.name}", "loaded")]


def test_the_swapped_table_takes_the_place_of_the_old_one_with_its_ledger(world: World) -> None:
    arrival, bad = world.ingest("a.csv", GOOD), world.ingest("bad.csv", BAD)
    role = f"reader_{world.live.name}"
    with psycopg.connect(world.superuser) as connection:
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    world.ask(f"GRANT SELECT ON {{live}} TO {role}")
    world.ask(f"CREATE VIEW public.{world.live.name}_view AS SELECT id FROM {{live}}")
    views = world.rebuild.readers(world.live)
    _, found = world.replay()

    kept = world.swap(found)
    again = load(world.kit.warehouse, world.live, world.store, _settled(world, arrival))[arrival.id]
    world.ingest("b.csv", GOOD)

    live = f"public.{world.live.name}"
    assert kept == f"{live}_before_20260115t100000"
    assert [name.rpartition(".")[2] for name in views] == [f"{world.live.name}_view"]
    assert again.rows == 2
    assert world.target(arrival) == [(live, "loaded"), (kept, "loaded")]
    assert world.target(bad) == [(live, "quarantined")]
    assert world.ask("SELECT count(*) FROM {live}") == [(4,)]
    assert world.ask(f"SELECT count(*) FROM {kept}") == [(2,)]
    assert world.ask("SELECT has_table_privilege(%s, %s, 'SELECT')", role, live) == [(True,)]
    assert world.ask("SELECT to_regclass(%s) IS NULL", f"{live}_replay") == [(True,)]


def test_a_table_is_swapped_and_swapped_again(replacing: World) -> None:
    replacing.ingest("a.csv", GOOD)
    kept = []
    for _ in range(2):
        _, found = replacing.replay()
        kept.append(replacing.swap(found))
        replacing.clock.advance(timedelta(seconds=1))
        replacing.kit.apply(replacing.live)

    assert len(set(kept)) == 2
    assert replacing.ask("SELECT count(*) FROM {live}") == [(2,)]


def test_a_file_that_comes_while_the_tables_are_compared_stops_the_swap(world: World) -> None:
    world.ingest("a.csv", GOOD)
    _, found = world.replay()
    late = world.ingest("b.csv", GOOD)

    with pytest.raises(PermanentError, match="run the replay again"):
        world.swap(found)
    done, found = world.replay()
    world.swap(found)

    assert done.before == 1
    assert (f"public.{world.live.name}", "loaded") in world.target(late)
    assert world.ask("SELECT count(*) FROM {live}") == [(4,)]


def test_a_warehouse_that_was_lost_is_built_from_the_keys_alone(world: World) -> None:
    arrival = world.ingest("2026/a.csv", GOOD)
    world.ask("TRUNCATE {live}")
    world.ask("DELETE FROM penstock.load WHERE target = %s", f"public.{world.live.name}")

    done, found = world.replay()

    assert done.rows == 2
    assert (found.live_rows, found.rebuilt_rows, found.differing) == (0, 2, 1)
    assert world.kit.arrivals_of(world.rebuilt) == [arrival.id] * 2
    assert found.differences[0].key == arrival.key


def test_a_definition_that_changed_shows_what_it_changes(world: World) -> None:
    world.live = world.live.model_copy(update={"max_reject_ratio": 0.5})
    world.ingest("a.csv", b"id,name,delay\n1,one,5\n2,two,late\n")
    columns = [
        column.model_copy(update={"type": ColumnType.TEXT}) if column.name == "delay" else column
        for column in world.live.columns
    ]
    wider = world.rebuilt.model_copy(update={"columns": tuple(columns)})

    done, found = world.replay(dataset=wider)

    assert (done.rows, found.equal) == (2, False)
    assert (found.differing, found.only_live, found.only_rebuilt) == (1, 0, 1)


def test_a_table_of_others_is_not_written_to(world: World) -> None:
    world.ask(f"CREATE TABLE public.{world.live.name}_replay AS SELECT 1 AS id")

    with pytest.raises(PermanentError, match="no replay has put there"):
        world.replay()


@pytest.mark.parametrize("into", ["Bad Name", "x; DROP TABLE y"])
def test_what_is_no_table_s_name_is_refused(into: str) -> None:
    with pytest.raises(PermanentError, match="--into"):
        rebuilt_dataset(dataset_of(), into, [])


def test_a_dataset_s_own_table_is_not_rebuilt_into() -> None:
    live, other = dataset_of(), dataset_of()

    with pytest.raises(PermanentError, match=other.name):
        rebuilt_dataset(live, other.name, [live, other])


def _settled(world: World, arrival: Arrival) -> Arrival:
    key = settled_key(PROCESSED, world.live.name, world.live.prefix, arrival)
    [version] = world.store.arrivals(key)
    return replace(arrival, location=Location(key, (version.version_id,)))


def test_times_are_of_when_a_file_came() -> None:
    moment = datetime(2026, 1, 31, tzinfo=UTC)

    assert Window(since=moment).has(moment)
    assert not Window(until=moment).has(moment)
