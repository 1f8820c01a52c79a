"""Views on a real PostgreSQL: made by the owner, rebuilt by the loader, read by whoever may."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.conftest import Postgres

from penstock.adapters.postgres import PostgresViews, PostgresViewSchema
from penstock.model.errors import PermanentError, TransientError
from penstock.model.views import View

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def owner(postgres: Postgres) -> Iterator[Connection]:
    with psycopg.connect(postgres.owner, autocommit=True) as connection:
        yield connection


@pytest.fixture
def views(postgres: Postgres) -> Iterator[PostgresViews]:
    made = PostgresViews(postgres.loader)
    yield made
    made.close()


@pytest.fixture
def table(owner: Connection) -> str:
    """A table of three sales, as PostgresSchema would have made it."""
    name = f"sales_{uuid.uuid4().hex[:8]}"
    owner.execute(sql.SQL("CREATE TABLE {} (shop text, total integer)").format(sql.Identifier(name)))
    owner.execute(
        sql.SQL("INSERT INTO {} VALUES ('north', 1), ('north', 2), ('south', 5)").format(sql.Identifier(name))
    )
    return name


def _view(table: str, query: str = "", **changes: Any) -> View:
    query = query or f"SELECT shop, sum(total)::int AS total FROM {table} GROUP BY shop"
    return View.model_validate(
        {"name": f"{table}_by_shop", "view": f"{table}_by_shop", "of": [table], "key": ["shop"], "query": query}
        | changes
    )


def _rows(connection: Connection, view: View) -> list[tuple[Any, ...]]:
    name = sql.Identifier(view.view.schema_name, view.view.name)
    return sorted(connection.execute(sql.SQL("SELECT * FROM {}").format(name)).fetchall())


def test_a_view_holds_what_its_query_finds_and_applying_it_again_does_nothing(
    postgres: Postgres, owner: Connection, table: str
) -> None:
    view, schema = _view(table), PostgresViewSchema(postgres.owner)

    first, second = schema.apply([view]), schema.apply([view])

    assert f"created view public.{table}_by_shop" in first
    assert second == []
    assert _rows(owner, view) == [("north", 3), ("south", 5)]


def test_the_role_that_loads_rebuilds_what_is_made_of_a_dataset_and_nothing_else(
    postgres: Postgres, owner: Connection, views: PostgresViews, table: str
) -> None:
    mine, other = _view(table), _view(table, name="other", view=f"{table}_other", of=["another"])
    PostgresViewSchema(postgres.owner).apply([mine, other])
    owner.execute(f"INSERT INTO {table} VALUES ('west', 9)".encode())

    (rebuilt,) = views.rebuild(table, "run-1")

    assert (rebuilt.view, rebuilt.rows) == (f'"public"."{table}_by_shop"', 3)
    assert ("west", 9) in _rows(owner, mine)
    assert ("west", 9) not in _rows(owner, other)
    said = owner.execute("SELECT run FROM penstock.view WHERE view = %s", (rebuilt.view,)).fetchone()
    assert said == ("run-1",)


def test_the_one_call_of_data_pipeline_rebuilds_all_and_where_some_fail_names_each_and_changes_none(
    postgres: Postgres, owner: Connection, table: str
) -> None:
    def of(name: str, query: str) -> View:
        return _view(table, query, name=f"{table}_{name}", view=f"{table}_{name}")

    broken = f"SELECT shop, 1 / total AS total FROM {table} WHERE total > 1 OR shop = 'none'"
    good, *bad = of("b", f"SELECT DISTINCT shop FROM {table}"), of("a", broken), of("c", broken)
    PostgresViewSchema(postgres.owner).apply([good, *bad])
    before = _rows(owner, good)
    with psycopg.connect(postgres.loader, autocommit=True) as loader:
        owner.execute(f"INSERT INTO {table} VALUES ('none', 0)".encode())
        with pytest.raises(psycopg.Error, match=f"(?s){table}_a.*by zero.*{table}_c.*by zero"):
            loader.execute("CALL penstock.rebuild_views(%s, 'run-1')", (table,))
        kept = _rows(owner, good)

        owner.execute(f"UPDATE {table} SET total = 2 WHERE shop = 'none'".encode())
        loader.execute("CALL penstock.rebuild_views(%s, 'run-2')", (table,))

    assert kept == before
    assert ("none",) in _rows(owner, good)


def test_the_role_that_loads_rebuilds_nothing_that_is_no_view_of_penstocks(
    postgres: Postgres, owner: Connection, table: str
) -> None:
    PostgresViewSchema(postgres.owner).apply([])
    owner.execute(f"CREATE MATERIALIZED VIEW {table}_own AS SELECT * FROM {table}".encode())

    with psycopg.connect(postgres.loader, autocommit=True) as loader, pytest.raises(psycopg.errors.NoDataFound):
        loader.execute("CALL penstock.rebuild_view(%s, 'run-1')", (f'"public"."{table}_own"',))


def test_a_dataset_that_no_view_is_made_of_has_nothing_to_rebuild(postgres: Postgres, views: PostgresViews) -> None:
    PostgresViewSchema(postgres.owner).apply([])

    assert views.rebuild("nobodys", "run-1") == []


def test_a_changed_query_makes_the_view_anew_and_keeps_who_may_read_it(
    postgres: Postgres, owner: Connection, table: str
) -> None:
    schema = PostgresViewSchema(postgres.owner)
    schema.apply([_view(table)])
    with psycopg.connect(postgres.superuser, autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE reader_of_{table}".encode())
    owner.execute(f"GRANT SELECT ON {table}_by_shop TO reader_of_{table}".encode())
    changed = _view(table, f"SELECT shop, count(*)::int AS sales FROM {table} GROUP BY shop;")

    done, again = schema.apply([changed]), schema.apply([changed])

    assert done == [f"made view public.{table}_by_shop anew"]
    assert again == []
    assert _rows(owner, changed) == [("north", 2), ("south", 1)]
    may = owner.execute("SELECT has_table_privilege(%s, %s, 'SELECT')", (f"reader_of_{table}", f"{table}_by_shop"))
    assert may.fetchone() == (True,)


def test_a_view_follows_when_another_table_takes_the_place_of_the_one_it_reads(
    postgres: Postgres, owner: Connection, table: str
) -> None:
    schema, view = PostgresViewSchema(postgres.owner), _view(table)
    schema.apply([view])
    owner.execute(f"ALTER TABLE {table} RENAME TO {table}_before".encode())
    owner.execute(f"CREATE TABLE {table} AS SELECT 'east' AS shop, 7 AS total".encode())

    done = schema.apply([view])

    assert done == [f"made view public.{table}_by_shop anew"]
    assert _rows(owner, view) == [("east", 7)]


def test_a_view_that_is_described_no_more_is_left_and_not_rebuilt(
    postgres: Postgres, owner: Connection, views: PostgresViews, table: str
) -> None:
    schema, view = PostgresViewSchema(postgres.owner), _view(table)
    schema.apply([view])
    owner.execute(f"TRUNCATE {table}".encode())

    done = schema.apply([])

    assert any(f"{table}_by_shop" in line and "drop it by hand" in line for line in done)
    assert views.rebuild(table, "run-1") == []
    assert _rows(owner, view) == [("north", 3), ("south", 5)]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT shop FROM nowhere_at_all", "nowhere_at_all"),
        ("SELECT 'one' AS shop UNION ALL SELECT 'one'", "could not create unique index"),
        ("SELECT 1 AS other", 'column "shop" does not exist'),
        ("SELECT shop FROM FROM sales", "syntax error"),
    ],
)
def test_a_query_that_is_refused_names_the_view_and_changes_nothing(
    postgres: Postgres, owner: Connection, table: str, query: str, said: str
) -> None:
    schema, view = PostgresViewSchema(postgres.owner), _view(table)
    schema.apply([view])

    with pytest.raises(PermanentError, match=f"(?s){table}_by_shop.*{said}.*Nothing was changed"):
        schema.apply([_view(table, query)])

    assert _rows(owner, view) == [("north", 3), ("south", 5)]


def test_what_is_not_penstocks_is_never_replaced(postgres: Postgres, owner: Connection, table: str) -> None:
    owner.execute(f"CREATE TABLE {table}_by_shop (shop text)".encode())

    with pytest.raises(PermanentError, match="something else has that name"):
        PostgresViewSchema(postgres.owner).apply([_view(table)])


def test_rebuilds_that_wait_for_each_other_share_one(postgres: Postgres, owner: Connection, table: str) -> None:
    owner.execute(f"CREATE SEQUENCE {table}_rebuilds".encode())
    view = _view(table, f"SELECT 'any' AS shop, nextval('{table}_rebuilds') AS rebuilds")
    PostgresViewSchema(postgres.owner).apply([view])
    waiting = [threading.Thread(target=_rebuild, args=(postgres, table, f"run-{n}")) for n in range(3)]

    with owner.transaction():
        owner.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('penstock.view ' || %s, 0))",
            (f'"public"."{table}_by_shop"',),
        )
        for thread in waiting:
            thread.start()
        _await_waiters(postgres, 3)
    for thread in waiting:
        thread.join()

    assert _rows(owner, view) == [("any", 2)], "the view was made once, and rebuilt once for the three"


def _rebuild(postgres: Postgres, dataset: str, run: str) -> None:
    views = PostgresViews(postgres.loader)
    views.rebuild(dataset, run)
    views.close()


def _await_waiters(postgres: Postgres, count: int) -> None:
    until = time.monotonic() + 20
    with psycopg.connect(postgres.superuser, autocommit=True) as connection:
        while True:
            found = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            if found.fetchone() == (count,):
                return
            assert time.monotonic() < until, "nobody waits for the lock"
            time.sleep(0.01)  # PostgreSQL tells nobody who waits for a lock.


def test_a_warehouse_that_is_gone_is_tried_again() -> None:
    with pytest.raises(TransientError):
        PostgresViews("host=127.0.0.1 port=1 user=penstock_loader dbname=warehouse").rebuild("sales", "run-1")
