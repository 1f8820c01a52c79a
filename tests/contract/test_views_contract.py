"""Views on PostgreSQL and on Redshift alike: what whoever reads one sees while it is rebuilt, and when that fails."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from tests.conftest import Postgres
from tests.contract.redshift import RedshiftKit

from penstock.adapters.postgres import PostgresViews, PostgresViewSchema
from penstock.flows.apply_datasets import ViewSchema
from penstock.flows.rebuild_views import Views
from penstock.model.errors import PermanentError
from penstock.model.views import View

ROWS = 200


@dataclass(frozen=True)
class Kit:
    """`do` runs a statement as the tables' owner, `read` a query as whoever loads. Each of `views` is a new client."""

    schema: ViewSchema
    views: Callable[[], Views]
    do: Callable[[str], object]
    read: Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(params=["postgres", "redshift"])
def kit(request: pytest.FixtureRequest, postgres: Postgres) -> Iterator[Kit]:
    if request.param == "redshift":
        redshift = RedshiftKit(lambda: postgres.superuser)
        yield Kit(redshift.view_schema(), redshift.views, redshift.do, redshift.read)
        redshift.close()
        return

    def run(conninfo: str, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []

    yield Kit(
        PostgresViewSchema(postgres.owner),
        lambda: PostgresViews(postgres.loader),
        lambda statement: run(postgres.owner, statement),
        lambda statement: run(postgres.loader, statement),
    )


@pytest.fixture
def table(kit: Kit) -> str:
    """Of rows that are all of one generation."""
    name = f"counts_{uuid.uuid4().hex[:8]}"
    kit.do("CREATE SCHEMA IF NOT EXISTS penstock")
    kit.do(f"CREATE TABLE {name} (id integer, generation integer)")
    kit.do(f"INSERT INTO {name} VALUES {', '.join(f'({number}, 1)' for number in range(ROWS))}")
    return name


def view_of(table: str, name: str = "all", query: str = "SELECT id, generation FROM {table}") -> View:
    full = f"{table}_{name}"
    given = {"name": full, "view": full, "of": [table], "key": ["id"], "query": query.format(table=table)}
    return View.model_validate(given)


def seen(kit: Kit, view: View) -> list[tuple[Any, ...]]:
    """Each generation that is in the view, and of how many rows."""
    return kit.read(f"SELECT generation, count(*) FROM {view.view.name} GROUP BY generation ORDER BY generation")


def test_it_holds_what_there_was_when_it_was_rebuilt(kit: Kit, table: str) -> None:
    view = view_of(table)
    kit.schema.apply([view])
    kit.do(f"UPDATE {table} SET generation = 2")
    before = seen(kit, view)

    [rebuilt] = kit.views().rebuild(table, "run-1")

    assert before == [(1, ROWS)]
    assert seen(kit, view) == [(2, ROWS)]
    assert rebuilt.rows == ROWS
    assert view.view.name in rebuilt.view


def test_one_that_reads_another_is_rebuilt_after_it(kit: Kit, table: str) -> None:
    # `_` comes before letters, as Python and bytes have it; a language's collation would pass over it.
    first, second = view_of(table, "_b"), view_of(table, "a", "SELECT id, generation FROM {table}__b")
    kit.schema.apply([second, first])
    kit.do(f"UPDATE {table} SET generation = 2")

    rebuilt = kit.views().rebuild(table, "run-1")

    assert [first.view.name in rebuilt[0].view, second.view.name in rebuilt[1].view] == [True, True]
    assert seen(kit, first) == seen(kit, second) == [(2, ROWS)]


def test_a_rebuild_that_fails_leaves_what_was_there_and_names_the_view(kit: Kit, table: str) -> None:
    good, bad = view_of(table), view_of(table, "broken", "SELECT id, 2 / generation AS generation FROM {table}")
    kit.schema.apply([good, bad])
    kit.do(f"UPDATE {table} SET generation = 0 WHERE id = 7")

    with pytest.raises(PermanentError, match=rf"{table}_broken.*by zero"):
        kit.views().rebuild(table, "run-1")

    assert seen(kit, bad) == [(2, ROWS)]

    kit.do(f"UPDATE {table} SET generation = 1")
    kit.views().rebuild(table, "run-2")

    assert seen(kit, good) == [(1, ROWS)]


def test_one_that_fails_keeps_none_behind_it_from_being_rebuilt_and_each_that_fails_is_told(
    kit: Kit, table: str
) -> None:
    by_zero = "SELECT id, 2 / generation AS generation FROM {table}"
    first, second = view_of(table, "a_broken", by_zero), view_of(table, "c_broken", by_zero)
    good = [view_of(table, name) for name in ("_before", "between", "last")]
    kit.schema.apply([first, second, *good])
    kit.do(f"UPDATE {table} SET generation = 0 WHERE id = 7")

    with pytest.raises(PermanentError, match=rf"(?s)2 of 5 .*{table}_a_broken.*by zero.*{table}_c_broken.*by zero"):
        kit.views().rebuild(table, "run-1")

    assert [seen(kit, view) for view in good] == [[(0, 1), (1, ROWS - 1)]] * 3
    assert seen(kit, first) == seen(kit, second) == [(2, ROWS)]


def test_a_query_that_is_refused_leaves_the_view_that_was_there_and_names_it(kit: Kit, table: str) -> None:
    view = view_of(table)
    kit.schema.apply([view])

    with pytest.raises(PermanentError, match=rf"{table}_all"):
        kit.schema.apply([view_of(table, query="SELECT id, nothing AS generation FROM {table}")])

    assert seen(kit, view) == [(1, ROWS)]
    kit.do(f"UPDATE {table} SET generation = 2")
    kit.views().rebuild(table, "run-1")
    assert seen(kit, view) == [(2, ROWS)]


def test_whoever_reads_sees_the_old_rows_or_the_new_and_nothing_between(kit: Kit, table: str) -> None:
    view = view_of(table)
    kit.schema.apply([view])
    over = threading.Event()

    def read_on() -> list[list[tuple[Any, ...]]]:
        found = []
        while not over.is_set():
            found.append(seen(kit, view))
        return found

    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read_on)
        try:
            for generation in range(2, 7):
                kit.do(f"UPDATE {table} SET generation = {generation}")
                kit.views().rebuild(table, f"run-{generation}")
        finally:
            over.set()
        found = reading.result()

    assert {(len(one), *(rows for _, rows in one)) for one in found} == {(1, ROWS)}
    generations = [one[0][0] for one in found]
    assert generations == sorted(generations)
    assert len(list(itertools.groupby(generations))) > 1


def test_two_rebuilds_at_once_both_end_well(kit: Kit, table: str) -> None:
    view = view_of(table)
    kit.schema.apply([view])
    kit.do(f"UPDATE {table} SET generation = 2")

    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda run: kit.views().rebuild(table, run), ["run-1", "run-2"]))

    assert [[one.rows for one in rebuilt] for rebuilt in both] == [[ROWS], [ROWS]]
    assert seen(kit, view) == [(2, ROWS)]
