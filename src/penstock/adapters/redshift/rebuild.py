"""`ports.Rebuild` on Redshift: a second table beside a dataset's own, compared with it, and put in its place.

Rows of a COPY of many files carry that COPY's id and not their file's, and a replay may batch the files otherwise. So
what is compared are the rows of all files that share a COPY in either table; mostly that is one file, or one batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString

from psycopg import sql

from penstock.adapters.redshift.counts import count_apart
from penstock.adapters.redshift.data_api import DataApi
from penstock.adapters.redshift.ledger import GUARD, Ledger
from penstock.adapters.redshift.lineage_groups import LedgerRow, groups_of
from penstock.adapters.redshift.outage import MAX_STATEMENTS
from penstock.adapters.redshift.row_hash import row_hash
from penstock.adapters.redshift.schema import RedshiftSchema, columns_of
from penstock.adapters.redshift.sql_text import format_sql, gate_of, identifier, literals, pages, table_of
from penstock.model.datasets import Dataset, Table
from penstock.model.errors import PermanentError
from penstock.model.ledger_text import key_of
from penstock.model.replays import Comparison, Difference, Known

SHOWN = 100
"""Differing groups whose rows are compared one by one."""

_LONGEST = 63
"""Characters of a table's name that a dataset may have."""

_LEDGER = Table(schema_name="penstock", name="load")
_PAGE = 10_000
_HOURS = 6 * 3600.0
"""Seconds that a table may take to be read whole, and that a swap may wait for a load."""


@dataclass(frozen=True, slots=True)
class _Sum:
    rows: int = 0
    hashes: int = 0

    def __add__(self, other: _Sum) -> _Sum:
        return _Sum(self.rows + other.rows, self.hashes + other.hashes)


class RedshiftRebuild:
    """`api` is of the tables' owner: it creates, and renames. `loader` as in RedshiftSchema."""

    def __init__(self, api: DataApi, loader: str = "") -> None:
        self._api = api
        self._loader = loader

    def known(self, dataset: Dataset) -> list[Known]:
        table = table_of(dataset)
        if not columns_of(self._api, _LEDGER):
            return []
        return [
            Known(arrival, key_of(key), version, etag, int(size), _utc(modified), _utc(decided))
            for arrival, key, version, etag, size, modified, decided in self._ledger(
                table,
                "arrival, key, version_id, etag, size, TO_CHAR(modified, 'YYYY-MM-DD HH24:MI:SS.US'),"
                " TO_CHAR(decided_at, 'YYYY-MM-DD HH24:MI:SS.US')",
            )
        ]

    def prepare(self, rebuilt: Dataset) -> list[str]:
        table = table_of(rebuilt)
        if columns_of(self._api, table):
            ours = columns_of(self._api, _LEDGER) and self._number(
                "SELECT COUNT(*) FROM penstock.load WHERE target = {new}", None, table
            )
            full = self._number("SELECT COUNT(*) FROM {table}", None, table, table=identifier(table))
            if full and not ours:
                raise PermanentError(
                    f"table {table.qualified} holds rows that no replay has put there. Name another with --into"
                )
        return RedshiftSchema(self._api, self._loader).apply([rebuilt])

    # ── comparing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def compare(self, live: Dataset, rebuilt: Dataset) -> Comparison:
        old, new = table_of(live), table_of(rebuilt)
        types = {table: self._columns(table) for table in (old, new)}
        columns = [one.name for one in live.columns if all(one.name in known for known in types.values())]
        hashes = {table: row_hash({name: types[table][name] for name in columns}) for table in (old, new)}
        sums = {table: self._sums(table, hashes[table]) for table in (old, new)}
        count_apart(self._api, Ledger(self._api, live), live)
        known, replayed = ({row.arrival: row for row in self._rows(table)} for table in (old, new))
        groups = groups_of(known.values(), replayed.values(), sums[old].keys() | sums[new].keys())
        differing: list[Difference] = []
        lineages: list[str] = []
        beyond = beyond_rows = 0
        for group in groups:
            was = sum((sums[old].get(one, _Sum()) for one in group.lineages), _Sum())
            now = sum((sums[new].get(one, _Sum()) for one in group.lineages), _Sum())
            there, left = sorted(group.arrivals & replayed.keys()), group.arrivals - replayed.keys()
            rows_left = sum(known[one].rows for one in left if one in known) if there else was.rows
            beyond += sum(known[one].rows > 0 for one in left if one in known) if there else min(was.rows, 1)
            beyond_rows += rows_left
            # Where a COPY's other files were not replayed, its rows can be counted and no more.
            same = was.rows - rows_left == now.rows if left else was == now
            if there and not same:
                differing.append(Difference(there[0], replayed[there[0]].key, was.rows, now.rows))
                lineages += group.lineages if len(differing) <= SHOWN else []
        only_live, only_rebuilt = self._apart(old, new, hashes, lineages)
        return Comparison(
            live_rows=sum(one.rows for one in sums[old].values()),
            rebuilt_rows=sum(one.rows for one in sums[new].values()),
            differing=len(differing),
            differences=tuple(sorted(differing, key=lambda one: (one.key, one.arrival))[:SHOWN]),
            only_live=only_live,
            only_rebuilt=only_rebuilt,
            beyond=beyond,
            beyond_rows=beyond_rows,
            columns=tuple(columns),
        )

    def _columns(self, table: Table) -> Mapping[str, str]:
        if found := columns_of(self._api, table):
            return found
        raise PermanentError(
            f"there is no table {table.qualified} to compare with. penstock apply creates the dataset's own"
        )

    def _sums(self, table: Table, hashed: sql.Composable) -> dict[str, _Sum]:
        statement = format_sql(
            "SELECT penstock_arrival, COUNT(*), CAST(SUM(CAST({hash} AS NUMERIC(38,0))) AS VARCHAR) FROM {table}"
            " GROUP BY penstock_arrival",
            hash=hashed,
            table=identifier(table),
        )
        found = self._api.query(statement, f"sum up the rows of {table.qualified}", seconds=_HOURS)
        return {str(lineage): _Sum(int(rows), int(hashes)) for lineage, rows, hashes in found}

    def _apart(
        self, old: Table, new: Table, hashes: Mapping[Table, sql.Composable], lineages: Sequence[str]
    ) -> tuple[int, int]:
        """How many rows of these either table has that the other has not, each counted as often as it is there."""
        only_old = only_new = 0
        # A page has rows of one group in it that the next has not: groups are small, or there is one of them.
        for page in pages(sorted(lineages), 1000) if len(lineages) > 1000 else [lineages] if lineages else []:
            side = "SELECT {} AS h, {} AS o, {} AS n FROM {} WHERE penstock_arrival IN ({})"
            statement = format_sql(
                "SELECT SUM(GREATEST(o - n, 0)), SUM(GREATEST(n - o, 0)) FROM (SELECT h, SUM(o) AS o, SUM(n) AS n"
                " FROM ({old} UNION ALL {new}) AS both_sides GROUP BY h) AS counted",
                old=sql.SQL(side).format(hashes[old], sql.Literal(1), sql.Literal(0), identifier(old), literals(page)),
                new=sql.SQL(side).format(hashes[new], sql.Literal(0), sql.Literal(1), identifier(new), literals(page)),
            )
            for a, b in self._api.query(statement, f"compare {new.qualified} with {old.qualified}", seconds=_HOURS):
                only_old, only_new = only_old + int(a or 0), only_new + int(b or 0)
        return only_old, only_new

    # ── swapping ────────────────────────────────────────────────────────────────────────────────────────────────────

    def swap(self, live: Dataset, rebuilt: Dataset, now: datetime) -> str:
        old, new = table_of(live), table_of(rebuilt)
        ending = f"_before_{now.astimezone(UTC):%Y%m%dt%H%M%S}"
        kept = Table(schema_name=old.schema_name, name=f"{old.name[: _LONGEST - len(ending)]}{ending}")
        self._require_all(old, new)
        doing = f"put {new.qualified} in the place of {old.qualified}"
        for page in pages(list(self._rights(old, new)), MAX_STATEMENTS):
            granted = self._api.run(page, f"hand on the rights of {old.qualified}")
            if granted.status != "FINISHED":
                raise granted.to_raise(f"hand on the rights of {old.qualified}")
        statements = [
            "LOCK TABLE {gate}",
            "SELECT 1 / CASE WHEN ({missing}) = 0 THEN 1 ELSE 0 END",
            "LOCK TABLE {gate_of_new}",
            "ALTER TABLE {old_table} RENAME TO {kept_name}",
            "ALTER TABLE {new_table} RENAME TO {old_name}",
            # What was only quarantined has no rows in either table, and stays with the name that retries go to.
            "UPDATE penstock.reject SET target = {kept} WHERE target = {old} AND arrival IN ({both})",
            "UPDATE penstock.load SET target = {kept} WHERE target = {old} AND arrival IN ({both})",
            "UPDATE penstock.reject SET target = {old} WHERE target = {new}",
            "UPDATE penstock.load SET target = {old} WHERE target = {new}",
        ]
        parts = {
            **_literals(old, new),
            "gate": gate_of(old),
            "gate_of_new": gate_of(new),
            "missing": sql.SQL(_MISSING).format(**_literals(old, new)),
            "old_table": identifier(old),
            "new_table": identifier(new),
            "old_name": sql.Identifier(old.name),
            "kept_name": sql.Identifier(kept.name),
            "kept": sql.Literal(kept.qualified),
            "both": sql.SQL("SELECT arrival FROM penstock.load WHERE target = {}").format(sql.Literal(new.qualified)),
        }
        ended = self._api.run([format_sql(one, **parts) for one in statements], doing, seconds=_HOURS)
        if ended.failed == GUARD:
            self._require_all(old, new)
        if ended.status != "FINISHED":
            raise ended.to_raise(doing)
        return kept.qualified

    def _require_all(self, old: Table, new: Table) -> None:
        if missing := self._number(_MISSING, old, new):
            raise PermanentError(
                f"{missing} files are in the ledger of {old.qualified} and not in that of {new.qualified}: they "
                "arrived since, are not settled yet, or have expired from processed/. Nothing was swapped; run "
                "the replay again when no run is live"
            )

    def _rights(self, old: Table, new: Table) -> Iterator[str]:
        """Who may read or write the old one may do so with the new one."""
        statement = format_sql(
            "SELECT privilege_type, identity_name, identity_type FROM svv_relation_privileges"
            " WHERE namespace_name = {schema} AND relation_name = {name} ORDER BY 2, 3, 1",
            schema=sql.Literal(old.schema_name),
            name=sql.Literal(old.name),
        )
        for right, name, kind in self._api.query(statement, f"read who may do what with {old.qualified}"):
            word = {"role": "ROLE {}", "group": "GROUP {}", "public": "PUBLIC"}.get(kind, "{}")
            to = sql.SQL(word).format(*([] if kind == "public" else [sql.Identifier(name)]))
            yield format_sql("GRANT {right} ON {table} TO {to}", right=sql.SQL(right), table=identifier(new), to=to)

    def readers(self, live: Dataset) -> list[str]:
        """Views that go on reading the old table; a late-binding one reads whatever has the name."""
        table = table_of(live)
        statement = format_sql(
            "SELECT DISTINCT vn.nspname || '.' || v.relname FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid"
            " JOIN pg_class AS v ON v.oid = r.ev_class JOIN pg_namespace AS vn ON vn.oid = v.relnamespace"
            " JOIN pg_class AS t ON t.oid = d.refobjid JOIN pg_namespace AS tn ON tn.oid = t.relnamespace"
            " WHERE tn.nspname = {schema} AND t.relname = {name} AND v.oid <> t.oid ORDER BY 1",
            schema=sql.Literal(table.schema_name),
            name=sql.Literal(table.name),
        )
        return [str(name) for (name,) in self._api.query(statement, f"look for views of {table.qualified}")]

    # ── the ledger ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _ledger(self, table: Table, columns: LiteralString) -> Iterator[tuple[str, ...]]:
        """The arrival comes first."""
        last = ""
        while True:
            statement = format_sql(
                "SELECT {columns} FROM penstock.load WHERE target = {target} AND arrival > {last}"
                " ORDER BY arrival LIMIT {page}",
                columns=sql.SQL(columns),
                target=sql.Literal(table.qualified),
                last=sql.Literal(last),
                page=sql.Literal(_PAGE),
            )
            page = list(self._api.query(statement, f"read the load ledger of {table.qualified}"))
            yield from page
            if len(page) < _PAGE:
                return
            last = str(page[-1][0])

    def _rows(self, table: Table) -> list[LedgerRow]:
        loaded = "CASE WHEN verdict = 'loaded' THEN lineage ELSE '' END"
        columns = f'arrival, key, {loaded}, CASE WHEN replaced_by IS NULL THEN "rows" ELSE 0 END'
        return [
            LedgerRow(arrival, key_of(key), lineage, int(rows))
            for arrival, key, lineage, rows in self._ledger(table, columns)
        ]

    def _number(self, template: str, old: Table | None, new: Table, **parts: sql.Composable) -> int:
        statement = format_sql(template, **_literals(old or new, new), **parts)
        ((number,),) = self._api.query(statement, f"look at {new.qualified}")
        return int(number)


_MISSING = (
    "SELECT COUNT(*) FROM penstock.load WHERE target = {old} AND verdict <> 'quarantined'"
    " AND arrival NOT IN (SELECT arrival FROM penstock.load WHERE target = {new})"
)


def _literals(old: Table, new: Table) -> dict[str, sql.Composable]:
    return {"old": sql.Literal(old.qualified), "new": sql.Literal(new.qualified)}


def _utc(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)
