"""`penstock query` and `penstock search`: look at what was loaded."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from penstock.cli.options import LOCAL, AsJson, OnAws, StackName
from penstock.cli.screen import NOTHING, count, emit, rows_view, screen, shown, table
from penstock.cli.target import deployment
from penstock.model.errors import PermanentError

if TYPE_CHECKING:
    from penstock.local.deployment import Deployment

SECONDS = 60
"""After which PostgreSQL gives a query up."""

Limit = Annotated[int, typer.Option(metavar="N", min=1, help="Show at most so many.")]


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One statement. It is run read-only.")],
    stack: StackName = LOCAL,
    aws: OnAws = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Ask the warehouse.

    [dim]$ penstock query "SELECT carrier, count(*) FROM flights GROUP BY 1 ORDER BY 2 DESC"
    $ penstock query --json "SELECT * FROM penstock.load" --limit 1000 | jq '.rows[].verdict'[/dim]
    """
    target = deployment(stack, aws=aws)
    names, rows, total = _from_redshift(target, sql, limit) or _from_postgres(target, sql, limit)
    more = len(rows) > limit
    if as_json:
        emit({"columns": names, "rows": [dict(zip(names, row, strict=True)) for row in rows[:limit]], "cut": more})
        return
    console = screen()
    console.print(rows_view(names, rows[:limit], console.width))
    cut = f", the first {limit} shown (--limit)" if more else ""
    console.print(f"[dim]{count(total)} row{'s' if total != 1 else ''}{cut}[/]")


Answer = tuple[list[str], list[tuple[Any, ...]], int]
"""Names of the columns, rows, one more than are shown, and how many there are."""


def _from_postgres(target: Deployment, sql: str, limit: int) -> Answer:
    import psycopg

    conninfo = target.conninfo("owner")
    if not conninfo:
        raise PermanentError(
            f"stack {target.name} has no warehouse to ask; its datasets are in the index: penstock search"
        )
    options = f"-c default_transaction_read_only=on -c statement_timeout={SECONDS}s"
    with psycopg.connect(conninfo, options=options, connect_timeout=10) as connection:
        # Through a cursor of the server: a table of a million rows is not fetched to show fifty of them.
        cursor = connection.execute(sql.encode())
        names = [column.name for column in cursor.description or ()]
        return names, cursor.fetchmany(limit + 1) if names else [], cursor.rowcount


def _from_redshift(target: Deployment, sql: str, limit: int) -> Answer | None:
    """With the role that loads; None where the warehouse is another."""
    api = target.redshift("loader")
    if api is None:
        return None
    if sql.lstrip().partition(" ")[0].upper() not in ("SELECT", "WITH"):
        raise PermanentError("the Data API has no read-only statements: on Redshift ask by SELECT or WITH alone")
    names, rows = api.table(sql, "answer the query")
    first = list(islice(rows, limit + 1))
    return names, first, len(first) + sum(1 for _ in rows)


def search(
    index: Annotated[str, typer.Argument(metavar="INDEX", help="The index's name, as flights.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Words to find.")],
    stack: StackName = LOCAL,
    aws: OnAws = False,
    limit: Limit = 10,
    as_json: AsJson = False,
) -> None:
    """Search an index; the best documents first.

    [dim]$ penstock search airports "kennedy"
    $ penstock search flights "N14228 IAH" --limit 3[/dim]
    """
    target = deployment(stack, aws=aws)
    if target.search is None:
        raise PermanentError(f"stack {stack} has no search index")
    found = target.search.search(index, text, limit)
    if as_json:
        emit({"index": index, "documents": list(found)})
        return
    console = screen()
    if not found:
        console.print(f"Nothing in {index} matches.")
        return
    console.print(documents_table(found))


def documents_table(found: Any) -> Any:
    """Search hits: the best first, a document a line, without Penstock's lineage."""
    made = table("#score", "document")
    for hit in found:
        line = Text()
        for name, value in hit["_source"].items():
            if not name.startswith("penstock_") and value is not None:
                line.append(f"{name} ", style="dim").append(f"{shown(value)}  ")
        score = hit.get("_score")
        made.add_row(NOTHING if score is None else f"{score:.2f}", line)
    return made
