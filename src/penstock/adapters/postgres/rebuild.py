"""`ports.Rebuild` on PostgreSQL: a second table beside a dataset's own, compared with it, and put in its place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from psycopg import sql

from penstock.adapters.postgres.column_types import identifier, table_of
from penstock.adapters.postgres.connection import Connection, Connections, Limits
from penstock.adapters.postgres.rights import hand_on_rights
from penstock.adapters.postgres.schema import PostgresSchema
from penstock.adapters.postgres.target_table import exists
from penstock.model.datasets import Dataset, Table
from penstock.model.errors import PermanentError
from penstock.model.ledger_text import key_of
from penstock.model.replays import Comparison, Difference, Known

SHOWN = 100
"""Differing arrivals whose rows are compared one by one."""

_LONGEST = 63
"""Bytes of a name in PostgreSQL."""


class PostgresRebuild:
    """`conninfo` is of the tables' owner: it creates, and renames."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        # A comparison reads both tables whole; nobody waits for its locks, and the swap takes its own.
        self._connections = Connections(conninfo, Limits(whole=6 * 3600))

    def close(self) -> None:
        self._connections.close()

    def known(self, dataset: Dataset) -> list[Known]:
        with self._connections.transaction(f"read the load ledger of {table_of(dataset).qualified}") as session:
            if not exists(session.connection, "penstock", "load"):
                return []
            found = session.connection.execute(
                "SELECT arrival, key, version_id, etag, size, modified, decided_at FROM penstock.load"
                " WHERE target = %s",
                (table_of(dataset).qualified,),
            )
            return [Known(arrival.hex, key_of(key), *rest) for arrival, key, *rest in found]

    def prepare(self, rebuilt: Dataset) -> list[str]:
        table = table_of(rebuilt)
        with self._connections.transaction(f"look at {table.qualified}") as session:
            connection = session.connection
            if exists(connection, table.schema_name, table.name):
                ours = exists(connection, "penstock", "load") and _one(
                    connection, "SELECT EXISTS (SELECT FROM penstock.load WHERE target = %s)", table.qualified
                )
                full = _one(connection, sql.SQL("SELECT EXISTS (SELECT FROM {})").format(identifier(table)))
                if full and not ours:
                    raise PermanentError(
                        f"table {table.qualified} holds rows that no replay has put there. Name another with --into"
                    )
        return PostgresSchema(self._conninfo).apply([rebuilt])

    # ── comparing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def compare(self, live: Dataset, rebuilt: Dataset) -> Comparison:
        old, new = table_of(live), table_of(rebuilt)
        with self._connections.transaction(f"compare {new.qualified} with {old.qualified}") as session:
            connection = session.connection
            columns = self._common(connection, live, old, new)
            connection.execute(
                sql.SQL("CREATE TEMPORARY TABLE penstock_compared ON COMMIT DROP AS {}").format(
                    _by_arrival(old, new, columns)
                ),
                {"target": new.qualified},
            )
            row = connection.execute(
                "SELECT coalesce(sum(live), 0)::bigint, coalesce(sum(rebuilt), 0)::bigint,"
                " count(*) FILTER (WHERE replayed AND NOT same), count(*) FILTER (WHERE NOT replayed AND live > 0),"
                " coalesce(sum(live) FILTER (WHERE NOT replayed), 0)::bigint FROM penstock_compared"
            ).fetchone()
            live_rows, rebuilt_rows, differing, beyond, beyond_rows = row or (0, 0, 0, 0, 0)
            found = connection.execute(
                "SELECT c.arrival, coalesce(l.key, ''), c.live, c.rebuilt FROM penstock_compared AS c"
                " LEFT JOIN penstock.load AS l ON l.target = %s AND l.arrival = c.arrival"
                " WHERE c.replayed AND NOT c.same ORDER BY l.key, c.arrival LIMIT %s",
                (new.qualified, SHOWN),
            ).fetchall()
            arrivals = [arrival for arrival, *_ in found]
            return Comparison(
                live_rows=live_rows,
                rebuilt_rows=rebuilt_rows,
                differing=differing,
                differences=tuple(Difference(arrival.hex, key_of(key), *rest) for arrival, key, *rest in found),
                only_live=_except(connection, old, new, columns, arrivals),
                only_rebuilt=_except(connection, new, old, columns, arrivals),
                beyond=beyond,
                beyond_rows=beyond_rows,
                columns=tuple(columns),
            )

    def _common(self, connection: Connection, live: Dataset, old: Table, new: Table) -> list[str]:
        """The dataset's columns that both tables have: the live one may be of an earlier definition."""
        there: list[set[str]] = []
        for table in (old, new):
            if not exists(connection, table.schema_name, table.name):
                raise PermanentError(
                    f"there is no table {table.qualified} to compare with. penstock apply creates the dataset's own"
                )
            found = connection.execute(
                "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
                " AND NOT attisdropped",
                (identifier(table).as_string(),),
            )
            there.append({name for (name,) in found})
        return [column.name for column in live.columns if all(column.name in names for names in there)]

    # ── swapping ────────────────────────────────────────────────────────────────────────────────────────────────────

    def swap(self, live: Dataset, rebuilt: Dataset, now: datetime) -> str:
        old, new = table_of(live), table_of(rebuilt)
        kept = before(old, now)
        with self._connections.transaction(f"put {new.qualified} in the place of {old.qualified}") as session:
            connection = session.connection
            # In the order in which a load takes them, so that neither waits for the other for ever.
            connection.execute("LOCK TABLE penstock.load IN SHARE ROW EXCLUSIVE MODE")
            connection.execute(
                sql.SQL("LOCK TABLE {}, {} IN ACCESS EXCLUSIVE MODE").format(identifier(old), identifier(new))
            )
            missing = _one(
                connection,
                "SELECT count(*) FROM penstock.load AS l WHERE target = %s AND verdict <> 'quarantined'"
                " AND NOT EXISTS (SELECT FROM penstock.load AS n WHERE n.target = %s AND n.arrival = l.arrival)",
                old.qualified,
                new.qualified,
            )
            if missing:
                raise PermanentError(
                    f"{missing} files are in the ledger of {old.qualified} and not in that of {new.qualified}: they "
                    "arrived since, are not settled yet, or have expired from processed/. Nothing was swapped; run "
                    "the replay again when no run is live"
                )
            hand_on_rights(connection, old, new)
            for table, name in ((old, kept), (new, old.name)):
                connection.execute(
                    sql.SQL("ALTER TABLE {} RENAME TO {}").format(identifier(table), sql.Identifier(name))
                )
                index = sql.Identifier(table.schema_name, by_arrival(table.name))
                connection.execute(
                    sql.SQL("ALTER INDEX IF EXISTS {} RENAME TO {}").format(index, sql.Identifier(by_arrival(name)))
                )
            # What was only quarantined has no rows in either table, and stays with the name that retries go to.
            connection.execute(
                "UPDATE penstock.load AS l SET target = %s WHERE target = %s"
                " AND EXISTS (SELECT FROM penstock.load AS n WHERE n.target = %s AND n.arrival = l.arrival)",
                (f"{old.schema_name}.{kept}", old.qualified, new.qualified),
            )
            connection.execute("UPDATE penstock.load SET target = %s WHERE target = %s", (old.qualified, new.qualified))
        return f"{old.schema_name}.{kept}"

    def readers(self, live: Dataset) -> list[str]:
        """Views that read the dataset's table: after a swap they go on reading the old one."""
        table = table_of(live)
        with self._connections.transaction(f"look for views of {table.qualified}") as session:
            if not exists(session.connection, table.schema_name, table.name):
                return []
            found = session.connection.execute(
                "SELECT DISTINCT r.ev_class::regclass::text FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid"
                " WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = %s::regclass"
                " AND r.ev_class <> d.refobjid ORDER BY 1",
                (identifier(table).as_string(),),
            )
            return [name for (name,) in found]


def before(table: Table, now: datetime) -> str:
    """What the table that was replaced is called from then on."""
    ending = f"_before_{now.astimezone(UTC):%Y%m%dt%H%M%S}"
    return f"{table.name[: _LONGEST - len(ending)]}{ending}"


def by_arrival(table: str) -> str:
    """The index that `replace` deletes by, as `TargetTable` calls it; told apart where a long name was cut."""
    return f"{table[:40]}_by_arrival" if "_before_" not in table else f"{table[-40:]}_by_arrival"


def _by_arrival(old: Table, new: Table, columns: Sequence[str]) -> sql.Composed:
    """Each arrival in either table: its rows there, whether they are the same, and whether it was replayed.

    Rows are summed up by a hash of their text, in one pass over each table and in memory for the arrivals alone.
    """
    values = sql.SQL(", ").join([sql.Identifier(name) for name in columns])
    side = sql.SQL(
        "SELECT penstock_arrival AS arrival, count(*) AS rows,"
        " sum(hashtextextended(ROW({})::text, 0)::numeric) AS sum FROM {} GROUP BY penstock_arrival"
    )
    return sql.SQL(
        "SELECT coalesce(a.arrival, b.arrival) AS arrival, coalesce(a.rows, 0) AS live, coalesce(b.rows, 0) AS rebuilt,"
        " (a.rows, a.sum) IS NOT DISTINCT FROM (b.rows, b.sum) AS same, EXISTS (SELECT FROM penstock.load AS l"
        " WHERE l.target = %(target)s AND l.arrival = coalesce(a.arrival, b.arrival)) AS replayed"
        " FROM ({live}) AS a FULL JOIN ({rebuilt}) AS b ON a.arrival = b.arrival"
    ).format(live=side.format(values, identifier(old)), rebuilt=side.format(values, identifier(new)))


def _except(
    connection: Connection, one: Table, other: Table, columns: Sequence[str], arrivals: Sequence[object]
) -> int:
    """How many rows of these arrivals `one` has that `other` has not, each counted as often as it is there."""
    if not arrivals:
        return 0
    values = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in columns)
    rows = sql.SQL("SELECT penstock_arrival, {} FROM {} WHERE penstock_arrival = ANY(%(arrivals)s)")
    statement = sql.SQL("SELECT count(*) FROM ({} EXCEPT ALL {}) AS rest").format(
        rows.format(values, identifier(one)), rows.format(values, identifier(other))
    )
    row = connection.execute(statement, {"arrivals": list(arrivals)}).fetchone()
    return int(row[0]) if row else 0


def _one(connection: Connection, statement: str | sql.Composed, *values: object) -> int:
    query = statement.encode() if isinstance(statement, str) else statement
    row = connection.execute(query, values).fetchone()
    return int(row[0]) if row else 0
