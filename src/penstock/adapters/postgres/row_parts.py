"""A table's rows are counted some pages at a time: each page is read once, without an index, by a short statement."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from penstock.adapters.postgres.column_types import identifier
from penstock.adapters.postgres.connection import Connection
from penstock.model.datasets import Table

PAGES = 8192
"""Of a part: 64 MiB, shared by a table's partitions."""


def parts(connection: Connection, table: Table, after: str) -> Iterator[str]:
    pages, partitions = _extent(connection, table)
    step = max(1, PAGES // partitions)
    first = int(after.partition("-")[2]) if after else 0
    yield from (f"{page}-{page + step}" for page in range(first, pages, step))


def counting(table: Table, part: str) -> sql.Composed:
    """The statement that says each arrival and its rows; of the whole table without a part."""
    first, _, end = part.partition("-")
    pages = sql.SQL("WHERE ctid >= {}::tid AND ctid < {}::tid").format(f"({first},0)", f"({end},0)")
    return sql.SQL("SELECT penstock_arrival, count(*) FROM {} {} GROUP BY 1").format(
        identifier(table), pages if part else sql.SQL("")
    )


def _extent(connection: Connection, table: Table) -> tuple[int, int]:
    """The pages of its largest partition, and how many partitions it has; a table without any is one."""
    row = connection.execute(
        "SELECT max(pg_relation_size(part)) / current_setting('block_size')::int, count(*) FROM ("
        "SELECT relid AS part FROM pg_partition_tree(%(table)s::regclass) WHERE isleaf UNION SELECT %(table)s::regclass"
        ") AS parts",
        {"table": identifier(table).as_string()},
    ).fetchone()
    assert row  # noqa: S101 - an aggregate has a row
    return int(row[0]), int(row[1])
