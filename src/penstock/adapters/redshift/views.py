"""Views on Redshift, as materialized views. Only their owner may refresh one, so it is the owner who rebuilds them."""

from __future__ import annotations

import time
from collections.abc import Iterable

from psycopg import sql

from penstock.adapters.rebuild_each import rebuild_each
from penstock.adapters.redshift.data_api import DataApi
from penstock.adapters.redshift.schema import grantee
from penstock.adapters.redshift.sql_text import format_sql, identifier, literals
from penstock.model.views import Rebuilt, View

_OWN = """
    CREATE TABLE IF NOT EXISTS penstock.view (
        view VARCHAR(256) NOT NULL,
        dataset VARCHAR(64) NOT NULL,
        query VARCHAR(65535) NOT NULL
    )
    """
"""A row for each dataset that a view is made of."""


class RedshiftViewSchema:
    """`api` is of the views' owner, who may read the tables; `loader` as `RedshiftSchema` has it."""

    def __init__(self, api: DataApi, loader: str = "") -> None:
        self._api = api
        self._loader = grantee(loader)

    def apply(self, views: Iterable[View]) -> list[str]:
        """What it did, a sentence each. A view whose query has changed is made anew, all of it or nothing.

        What is described no more is left as it is, and not rebuilt. Raises PermanentError where a query is refused.
        """
        wanted = sorted(views, key=lambda view: view.view.qualified)  # One may read another that comes before it.
        self._run([_OWN], "apply the views")
        known = dict(self._api.query("SELECT view, query FROM penstock.view", "read which views there are"))
        done: list[str] = []
        for view in wanted:
            name = view.view.qualified
            if known.get(name) != view.query:
                self._run(self._made(view), f"create view {name}")
                done.append(f"{'created anew' if name in known else 'created'} view {name}")
            self._run(self._recorded(view), f"record view {name}")
        gone = sorted(known.keys() - {view.view.qualified for view in wanted})
        if gone:
            names = sql.SQL("DELETE FROM penstock.view WHERE view IN ({names})")
            self._run([names.format(names=literals(gone)).as_string()], "forget views that are described no more")
            done += [f"view {name} is described no more: it stays as it is, and is not rebuilt" for name in gone]
        return done

    def _made(self, view: View) -> list[str]:
        name = identifier(view.view)
        schema = sql.Identifier(view.view.schema_name)
        statements = [
            format_sql("CREATE SCHEMA IF NOT EXISTS {schema}", schema=schema),
            format_sql("DROP MATERIALIZED VIEW IF EXISTS {name}", name=name),
            format_sql("CREATE MATERIALIZED VIEW {name} AS", name=name) + f" {view.query}",
        ]
        if self._loader is not None:
            statements.append(format_sql("GRANT SELECT ON {name} TO {loader}", name=name, loader=self._loader))
        return statements

    def _recorded(self, view: View) -> list[str]:
        name = sql.Literal(view.view.qualified)
        rows = [
            sql.SQL("({}, {}, {})").format(name, sql.Literal(dataset), sql.Literal(view.query)) for dataset in view.of
        ]
        return [
            format_sql("DELETE FROM penstock.view WHERE view = {name}", name=name),
            format_sql("INSERT INTO penstock.view VALUES {rows}", rows=sql.SQL(", ").join(rows)),
        ]

    def _run(self, statements: list[str], doing: str) -> None:
        ended = self._api.run(statements, doing)
        if ended.status != "FINISHED":
            raise ended.to_raise(doing)


class RedshiftViews:
    """`api` is of the views' owner."""

    def __init__(self, api: DataApi) -> None:
        self._api = api

    def rebuild(self, dataset: str, run: str) -> list[Rebuilt]:
        """All that are made of the dataset, one after the other; readers see the old one until its refresh commits."""
        statement = format_sql(
            "SELECT DISTINCT view FROM penstock.view WHERE dataset = {dataset} ORDER BY 1", dataset=sql.Literal(dataset)
        )
        found = [str(name) for (name,) in self._api.query(statement, f"read which views are made of {dataset}")]
        return rebuild_each(found, lambda name, left: self._rebuild(name, run, left))

    def _rebuild(self, qualified: str, run: str, seconds: float) -> Rebuilt:
        schema, _, name = qualified.rpartition(".")
        view = sql.Identifier(schema, name)
        doing = (
            f"rebuild view {qualified} after run {run}, which stays as it was (mend its query, or the rows that it "
            "can't take)"
        )
        began = time.monotonic()
        ended = self._api.execute(format_sql("REFRESH MATERIALIZED VIEW {view}", view=view), doing, seconds)
        if ended.status != "FINISHED":
            raise ended.to_raise(doing)
        took = time.monotonic() - began
        [(rows,)] = self._api.query(format_sql("SELECT COUNT(*) FROM {view}", view=view), doing)
        return Rebuilt(f"{schema}.{name}", int(rows), round(took, 3))
