"""A dataset with `upsert` or `event_id`: its files are copied into a stage, and merged by key into the table.

An event's first row stays, and its repeats are counted. The rest is of `upsert`.

A row that takes another's place has a later `penstock_loaded_at`, whatever the clock says: the version of its document.

Which row of a key stays is a matter of the rows alone, and of the arrivals that they came from: `order_by`, then when
the arrival was put, then its id, then the row's place in its file. So any order of loading ends in the same table.
"""

from __future__ import annotations

from psycopg import sql

from penstock.adapters.postgres.column_types import identifier, names, sql_type, table_of
from penstock.adapters.postgres.connection import Connection, Session, milliseconds
from penstock.model.arrivals import Arrival
from penstock.model.datasets import LINEAGE, Column, ColumnType, Dataset
from penstock.ports import MergedRow

ARRIVAL, LOADED_AT = LINEAGE

STAGE = sql.Identifier("pg_temp", "penstock_upsert")

LOCK = sql.SQL("SELECT pg_advisory_xact_lock(hashtextextended({}, 0))")
"""One merge into a table at a time, until its transaction ends: two that met in the same keys in another order would
wait for each other, and one could not see the ledger row of the arrival whose row it meets."""


def landing_of(dataset: Dataset) -> sql.Identifier:
    """Where a file's rows are written to: the table, or the stage that is merged into it."""
    return STAGE if dataset.row_key else identifier(table_of(dataset))


def create_stage(dataset: Dataset) -> sql.Composed:
    """The dataset's columns, and the row's place in its file."""
    columns = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(column.name), sql_type(column), sql.SQL(" NOT NULL" if column.required else "")
        )
        for column in dataset.columns
    ]
    place = sql.SQL("penstock_place bigint GENERATED ALWAYS AS IDENTITY")
    return sql.SQL("CREATE TEMPORARY TABLE penstock_upsert ({}) ON COMMIT DROP").format(
        sql.SQL(", ").join([*columns, place])
    )


def insert(dataset: Dataset, rows: sql.Composable, newer: sql.Composable) -> sql.Composed:
    """`rows` gives the dataset's columns; a row that is there is replaced where `newer` holds, an event's never."""
    columns = [*(column.name for column in dataset.columns), ARRIVAL]
    later = sql.SQL("{0} = greatest(EXCLUDED.{0}, t.{0} + interval '1 microsecond')").format(sql.Identifier(LOADED_AT))
    changed = [sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in columns]
    update = sql.SQL("UPDATE SET {} WHERE {}").format(sql.SQL(", ").join([*changed, later]), newer)
    return sql.SQL("INSERT INTO {} AS t ({}) {} ON CONFLICT ({}) DO {}").format(
        identifier(table_of(dataset)),
        names(dataset.columns),
        rows,
        _key(dataset),
        update if dataset.upsert else sql.SQL("NOTHING"),
    )


def merge_statement(dataset: Dataset) -> sql.Composed:
    """Its parameters are the arrival's `modified` and `arrival`, and the table's name as `target`."""
    if dataset.upsert is None:
        first = sql.SQL("SELECT {} FROM {} ORDER BY penstock_place").format(names(dataset.columns), STAGE)
        return insert(dataset, first, sql.SQL("false"))
    order = sql.Identifier(dataset.upsert.order_by)
    last_of_each = sql.SQL(
        "SELECT {} FROM (SELECT DISTINCT ON ({key}) * FROM {} ORDER BY {key}, {} DESC, penstock_place DESC) AS s"
    ).format(names(dataset.columns), STAGE, order, key=_key(dataset))
    newer = sql.SQL(
        "EXCLUDED.{0} > t.{0} OR EXCLUDED.{0} = t.{0} AND (%(modified)s::timestamptz, %(arrival)s::uuid) > (coalesce("
        "(SELECT l.modified FROM penstock.load AS l WHERE l.target = %(target)s AND l.arrival = t.penstock_arrival),"
        " '-infinity'), t.penstock_arrival)"
    ).format(order)
    return insert(dataset, last_of_each, newer)


def merge(session: Session, dataset: Dataset, arrival: Arrival) -> int:
    """How many rows were written. Raises psycopg's errors where the table refuses a row that its stage took."""
    connection = session.connection
    target = table_of(dataset).qualified
    _wait_for_turn(connection, target, session.check())
    merged = connection.execute(
        merge_statement(dataset), {"modified": arrival.modified, "arrival": arrival.id, "target": target}
    )
    connection.execute(sql.SQL("DROP TABLE {}").format(STAGE))
    return merged.rowcount


def _wait_for_turn(connection: Connection, target: str, seconds: float) -> None:
    """As long as the batch may take at all: whoever holds it is at work, and not at fault."""
    row = connection.execute("SELECT current_setting('lock_timeout')").fetchone()
    set_timeout = "SELECT set_config('lock_timeout', %s, true)"
    connection.execute(set_timeout, (milliseconds(seconds),))
    connection.execute(LOCK.format(target))
    connection.execute(set_timeout, row)


def merged_rows(
    connection: Connection, dataset: Dataset, arrival: str, after: MergedRow | None, most: int
) -> list[MergedRow]:
    """By key, those of the arrival that stand in the table, from behind `after` on."""
    by_name = {column.name: (place, column) for place, column in enumerate(dataset.columns)}
    key = [by_name[name] for name in dataset.row_key]
    known_by = set(dataset.row_key)
    values = [
        sql.SQL("{}::text").format(_canonical(column) if column.name in known_by else sql.Identifier(column.name))
        for column in dataset.columns
    ]
    statement = sql.SQL(
        "SELECT (extract(epoch FROM penstock_loaded_at) * 1000000)::bigint, {} FROM {}"
        " WHERE penstock_arrival = %s::uuid {} ORDER BY {} LIMIT %s"
    ).format(
        sql.SQL(", ").join(values),
        identifier(table_of(dataset)),
        sql.SQL("AND ({}) > ({})" if after else "").format(
            _key(dataset), sql.SQL(", ").join(sql.SQL("%s::{}").format(sql_type(column)) for _, column in key)
        ),
        _key(dataset),
    )
    known = [after.values[place] for place, _ in key] if after else []
    return [MergedRow(tuple(row), version) for version, *row in connection.execute(statement, [arrival, *known, most])]


def _canonical(column: Column) -> sql.Composable:
    """Equal values are written alike: 1.0 and 1.00 are one key, and so are 0 and -0."""
    how = {ColumnType.NUMERIC: "trim_scale({})", ColumnType.REAL: "({} + 0::real)", ColumnType.DOUBLE: "({} + 0)"}
    return sql.SQL(how.get(column.type, "{}")).format(sql.Identifier(column.name))


def _key(dataset: Dataset) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, dataset.row_key))
