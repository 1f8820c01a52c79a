"""A number that stands for the values of a row, whatever the types of its columns: equal rows have equal numbers."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

_AS_TEXT = {
    "boolean": "CASE {} WHEN TRUE THEN 'true' WHEN FALSE THEN 'false' END",
    "super": "JSON_SERIALIZE({})",
}


def row_hash(columns: Mapping[str, str]) -> sql.Composable:
    """FNV_HASH of each value's text, of 64 bits, the one before its seed: a row's text may be longer than a VARCHAR.

    `columns` are their types by name, as SVV_COLUMNS has them. A NULL and an empty text are two values.
    """
    hashed: sql.Composable = sql.SQL("0")
    for name, kind in columns.items():
        known = "{}" if kind.startswith("character") else _AS_TEXT.get(kind, "CAST({} AS VARCHAR)")
        text = sql.SQL(known).format(sql.Identifier(name))
        hashed = sql.SQL("FNV_HASH(CASE WHEN {} IS NULL THEN 1 ELSE 0 END, FNV_HASH(COALESCE({}, ''), {}))").format(
            sql.Identifier(name), text, hashed
        )
    return hashed
