"""Views, as materialized views: made by their owner, rebuilt by whoever may call `penstock.rebuild_view`.

A procedure does the rebuilding, for a state machine's function as for AWS Data Pipeline's SqlActivity, which knows
nothing of Penstock and has one statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import psycopg
from psycopg import sql

from penstock.adapters.postgres.column_types import identifier
from penstock.adapters.postgres.connection import Connection, Connections, Limits, milliseconds
from penstock.adapters.postgres.errors import words
from penstock.adapters.postgres.rights import hand_on_rights
from penstock.adapters.postgres.target_table import ensure_schema, exists
from penstock.adapters.rebuild_each import SECONDS, rebuild_each
from penstock.model.datasets import Table
from penstock.model.errors import PermanentError
from penstock.model.views import Rebuilt, View

_LOCK = 7_381_023_541
"""Any number, as long as every apply takes the same."""

_OWN = (
    """
    CREATE TABLE IF NOT EXISTS penstock.view (
        view text PRIMARY KEY,
        datasets text[] NOT NULL,
        query text NOT NULL,
        key text[] NOT NULL,
        definition text NOT NULL,
        began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        ended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        rows bigint NOT NULL DEFAULT 0,
        run text NOT NULL DEFAULT ''
    )
    """,
    "COMMENT ON TABLE penstock.view IS 'The views: of which datasets, and when and after which run they were rebuilt.'",
    # It runs as the owner, who alone may refresh (PostgreSQL 17 has a right for it, 15 has none). One rebuild of a view
    # at a time; who waited for one that began after he asked has what he wanted.
    """
    CREATE OR REPLACE PROCEDURE penstock.rebuild_view(asked_for text, for_run text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        asked timestamptz := clock_timestamp();
        began timestamptz;
        stale text;
        counted bigint;
    BEGIN
        SELECT v.view INTO STRICT stale FROM penstock.view AS v WHERE v.view = asked_for;
        PERFORM pg_advisory_xact_lock(hashtextextended('penstock.view ' || stale, 0));
        IF EXISTS (SELECT FROM penstock.view AS v WHERE v.view = stale AND v.began_at > asked) THEN
            RETURN;
        END IF;
        began := clock_timestamp();
        BEGIN
            EXECUTE 'REFRESH MATERIALIZED VIEW CONCURRENTLY ' || stale::regclass;
        EXCEPTION WHEN OTHERS THEN
            RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = format(
                'view %s stays as it was; mend its query, or the rows that it can''t take: %s', stale, SQLERRM);
        END;
        EXECUTE 'SELECT count(*) FROM ' || stale::regclass INTO counted;
        UPDATE penstock.view AS v SET began_at = began, ended_at = clock_timestamp(), rows = counted, run = for_run
            WHERE v.view = stale;
    END
    $$
    """,
    "REVOKE ALL ON PROCEDURE penstock.rebuild_view(text, text) FROM PUBLIC",
    # For who has one statement, in a transaction or not: so it can't commit one view by itself, and is all or nothing.
    # It tells of each that fails all the same.
    """
    CREATE OR REPLACE PROCEDURE penstock.rebuild_views(dataset text, for_run text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        stale text;
        code text;
        failed text[] := '{}';
    BEGIN
        FOR stale IN SELECT v.view FROM penstock.view AS v WHERE dataset = ANY (v.datasets)
            ORDER BY v.view COLLATE "C" LOOP
            BEGIN
                CALL penstock.rebuild_view(stale, for_run);
            EXCEPTION WHEN OTHERS THEN
                code := SQLSTATE;
                failed := failed || SQLERRM;
            END;
        END LOOP;
        IF code IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = code, MESSAGE = array_to_string(failed, '; ');
        END IF;
    END
    $$
    """,
    "REVOKE ALL ON PROCEDURE penstock.rebuild_views(text, text) FROM PUBLIC",
)

_GRANTS = (
    "GRANT SELECT ON penstock.view TO {loader}",
    "GRANT EXECUTE ON PROCEDURE penstock.rebuild_view(text, text) TO {loader}",
    "GRANT EXECUTE ON PROCEDURE penstock.rebuild_views(text, text) TO {loader}",
)


class PostgresViews:
    """`conninfo` is of any role that may call the procedures, as the loader's, or asks for it."""

    def __init__(self, conninfo: str | Callable[[], str]) -> None:
        # A rebuild waits for another of the same view no longer than it may itself take.
        self._connections = Connections(conninfo, Limits(whole=SECONDS, lock=SECONDS))

    def close(self) -> None:
        self._connections.close()

    def rebuild(self, dataset: str, run: str) -> list[Rebuilt]:
        """All that are made of the dataset, each in a transaction; readers see the old one until that commits."""
        with self._connections.transaction(f"read which views are made of {dataset}") as session:
            found = session.connection.execute(
                'SELECT view FROM penstock.view WHERE %s = ANY (datasets) ORDER BY view COLLATE "C"', (dataset,)
            ).fetchall()
        return rebuild_each([name for (name,) in found], lambda name, left: self._rebuild(name, run, left))

    def _rebuild(self, name: str, run: str, seconds: float) -> Rebuilt:
        with self._connections.transaction(f"rebuild view {name} after run {run}") as session:
            connection = session.connection
            connection.execute("SELECT set_config('statement_timeout', %s, true)", (milliseconds(seconds),))
            connection.execute("CALL penstock.rebuild_view(%s, %s)", (name, run))
            row = connection.execute(
                "SELECT rows, extract(epoch FROM ended_at - began_at)::float8 FROM penstock.view WHERE view = %s",
                (name,),
            ).fetchone()
        rows, took = row or (0, 0.0)
        return Rebuilt(name, rows, took)


class PostgresViewSchema:
    """`conninfo` is of the views' owner, who may read the tables, or asks for it; `loader` rebuilds them."""

    def __init__(self, conninfo: str | Callable[[], str], loader: str = "penstock_loader") -> None:
        self._connections = Connections(conninfo, Limits())
        self._loader = loader

    def apply(self, views: Iterable[View]) -> list[str]:
        """What it did, a sentence each; nothing to do is an empty list. All or nothing, one apply at a time.

        A view is made anew where its query or key changed, and where a table that it reads was renamed, as a swapped
        replay does: it would go on reading the old one. What is described no more is left as it is, and not rebuilt.

        Raises PermanentError where a query is refused, or where something else stands under a view's name.
        """
        done: list[str] = []
        wanted = sorted(views, key=lambda view: view.view.qualified)  # One may read another that comes before it.
        try:
            with self._connections.transaction("apply the views") as session:
                connection = session.connection
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                ensure_schema(connection, "penstock", self._loader)
                for statement in _OWN:
                    connection.execute(statement)
                for grant in _GRANTS:
                    connection.execute(sql.SQL(grant).format(loader=sql.Identifier(self._loader)))
                for view in wanted:
                    done += _OneView(connection, view, self._loader).apply()
                done += _forgotten(connection, wanted)
        finally:
            self._connections.close()
        return done


class _OneView:
    def __init__(self, connection: Connection, view: View, loader: str) -> None:
        self._connection = connection
        self._view = view
        self._loader = loader
        self._name = identifier(view.view).as_string()

    def apply(self) -> list[str]:
        view = self._view
        done = ensure_schema(self._connection, view.view.schema_name, self._loader)
        there = exists(self._connection, view.view.schema_name, view.view.name)
        known = self._connection.execute(
            "SELECT query, key, definition FROM penstock.view WHERE view = %s", (self._name,)
        ).fetchone()
        if there and not known:
            raise self._refused("something else has that name. Drop it, or call the view otherwise")
        if not there:
            self._make(view.view)
            done.append(f"created view {view.view.qualified}")
        elif known != (view.query, list(view.key), self._definition()):
            self._make_anew()
            done.append(f"made view {view.view.qualified} anew")
        self._connection.execute("UPDATE penstock.view SET datasets = %s WHERE view = %s", (list(view.of), self._name))
        return done

    def _make_anew(self) -> None:
        """Beside the old one, whose rights it takes over, then in its place."""
        old = self._view.view
        beside = Table(schema_name=old.schema_name, name=f"{old.name[:50]}_made_anew")
        self._make(beside)
        hand_on_rights(self._connection, old, beside)
        try:
            self._connection.execute(sql.SQL("DROP MATERIALIZED VIEW {}").format(identifier(old)))
        except psycopg.errors.DependentObjectsStillExist:
            raise self._refused("it changed, and others read it: drop those that do, then apply again") from None
        for table, name in ((beside, old.name), (_index(beside), _index(old).name)):
            kind = sql.SQL("MATERIALIZED VIEW" if table is beside else "INDEX")
            self._connection.execute(
                sql.SQL("ALTER {} {} RENAME TO {}").format(kind, identifier(table), sql.Identifier(name))
            )

    def _make(self, at: Table) -> None:
        query = sql.SQL("CREATE MATERIALIZED VIEW {} AS ").format(identifier(at)).as_bytes() + self._view.query.encode()
        key = sql.SQL(", ").join(sql.Identifier(name) for name in self._view.key)
        try:
            # A savepoint of its own, so that what is refused can be said.
            with self._connection.transaction():
                self._connection.execute(query)
                self._connection.execute(
                    sql.SQL("CREATE UNIQUE INDEX {} ON {} ({})").format(
                        sql.Identifier(_index(at).name), identifier(at), key
                    )
                )
        except psycopg.Error as refused:
            if refused.sqlstate is None or not refused.sqlstate.startswith(("22", "23", "42", "2B")):
                raise
            raise self._refused(words(refused)) from None
        self._connection.execute(
            sql.SQL("GRANT SELECT ON {} TO {}").format(identifier(at), sql.Identifier(self._loader))
        )
        self._connection.execute(
            "INSERT INTO penstock.view (view, datasets, query, key, definition) VALUES (%s, '{}', %s, %s, %s)"
            " ON CONFLICT (view) DO UPDATE SET query = excluded.query, key = excluded.key,"
            " definition = excluded.definition",
            (self._name, self._view.query, list(self._view.key), self._definition(at)),
        )

    def _definition(self, at: Table | None = None) -> str:
        """As PostgreSQL writes it, with the names that its tables have now."""
        name = identifier(at or self._view.view).as_string()
        row = self._connection.execute("SELECT pg_get_viewdef(%s::regclass)", (name,)).fetchone()
        return str(row[0]) if row else ""

    def _refused(self, why: str) -> PermanentError:
        return PermanentError(f"view {self._view.name} ({self._view.view.qualified}): {why}. Nothing was changed")


def _index(view: Table) -> Table:
    return Table(schema_name=view.schema_name, name=f"{view.name[:50]}_key")


def _forgotten(connection: Connection, wanted: Sequence[View]) -> list[str]:
    """Those that are described no more are rebuilt no more; dropping them is for whoever knows who reads them."""
    names = [identifier(view.view).as_string() for view in wanted]
    found = connection.execute("DELETE FROM penstock.view WHERE view <> ALL (%s) RETURNING view", (names,)).fetchall()
    return [f"view {name} is described no more and not rebuilt; drop it by hand" for (name,) in found]
