"""The load ledger on Redshift, which enforces no key: who writes holds the gate's lock and has looked again under it.

A transaction that writes begins with LOCK, which takes no snapshot, and then a guard: a statement that fails when the
ledger is not as it was read before. So what was decided from that reading still holds when it is committed, and nothing
is decided twice. `arrival`, `key_id` and the like are 32 hex digits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg import sql

from penstock.adapters.redshift.data_api import DataApi
from penstock.adapters.redshift.sql_text import (
    format_sql,
    gate_of,
    literal,
    literals,
    moment,
    pages,
    pages_of_bytes,
    table_of,
)
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.ledger_text import as_text, key_text
from penstock.model.outcomes import LoadOutcome, Verdict

GUARD = 1
"""The guard's place in a transaction, from 0: behind LOCK."""

_PAGE = 1000
"""Keys that one statement names: 36 KB of the 100 KB that it may have."""

_BYTES = 80_000
"""Of one statement's ledger rows, with room for the rest of it."""

ROUND_BYTES = 1_000_000
"""Of the ledger rows of one transaction, which has forty statements for all it does."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the ledger. `rows` is below 0 until the files of its COPY were counted apart; `lineage` is what its rows
    carry as `penstock_arrival`: the arrival's id, or that of a COPY of many, which has loaded `lineage_rows` in all.
    """

    arrival: str
    key_id: str
    etag: str
    size: int
    modified: datetime
    verdict: Verdict
    rows: int
    rejects: int
    reason: str
    replaced_by: str
    retry: int
    lineage: str
    lineage_rows: int
    repeats: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What the ledger says of some keys, the oldest first."""

    entries: Sequence[Entry]
    key_ids: Sequence[str]

    @property
    def fingerprint(self) -> str:
        """Rows are added, replaced and retried, and never anything else."""
        replaced = sum(bool(entry.replaced_by) for entry in self.entries)
        return f"{len(self.entries)}/{replaced}/{sum(entry.retry for entry in self.entries)}"

    def decided(self, arrival: Arrival) -> Entry | None:
        """Its row, unless that is a quarantine of a lesser retry than its own."""
        found = next((entry for entry in self.entries if entry.arrival == arrival.id), None)
        superseded = found and found.verdict is Verdict.QUARANTINED and found.retry < arrival.retry
        return None if superseded else found

    def loaded(self, arrival: Arrival) -> list[Entry]:
        """What was loaded under its key and not replaced since."""
        return [
            entry
            for entry in self.entries
            if entry.key_id == key_id(arrival) and entry.verdict is Verdict.LOADED and not entry.replaced_by
        ]


@dataclass(frozen=True, slots=True)
class Decision:
    """A row to be written. `lineage` is empty where no rows are loaded."""

    arrival: Arrival
    outcome: LoadOutcome
    lineage: str = ""


def ledger_bytes(arrival: Arrival) -> int:
    """About what its row has in a statement."""
    return 700 + len(literal(key_text(arrival.key)).as_string().encode()) + len(as_text(arrival.version_id))


def key_id(arrival: Arrival) -> str:
    """Stands for bucket and key in a statement, of which it may name many."""
    name = f"{arrival.bucket}\0{arrival.key}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(name, digest_size=16).hexdigest()


class Ledger:
    """The rows of one target table."""

    def __init__(self, api: DataApi, dataset: Dataset) -> None:
        self._api = api
        self._dataset = dataset.name
        table = table_of(dataset)
        self._gate = gate_of(table)
        self._target = sql.Literal(table.qualified)
        self._doing = f"read the load ledger of {table.qualified}"

    def look(self, arrivals: Sequence[Arrival]) -> Seen:
        """Waits for nobody: whoever reads the gate's table waits for the load that holds it."""
        keys = sorted({key_id(arrival) for arrival in arrivals})
        entries: list[Entry] = []
        for page in pages(keys, _PAGE):
            statement = self._sql(
                "SELECT arrival, key_id, etag, size, TO_CHAR(modified, 'YYYY-MM-DD HH24:MI:SS.US'), verdict, \"rows\","
                " rejects, reason, replaced_by, retry, lineage, lineage_rows, repeats FROM penstock.load"
                " WHERE target = {target} AND key_id IN ({keys}) ORDER BY decided_at, arrival",
                keys=literals(page),
            )
            entries += [_entry(row) for row in self._api.query(statement, self._doing, self._dataset)]
        return Seen(entries, keys)

    def lock_and_guard(self, seen: Seen) -> list[str]:
        """The first two statements of a transaction that decides what `seen` has not."""
        lock = self._sql("LOCK TABLE {gate}")
        guard = self._sql(
            "SELECT 1 / CASE WHEN (SELECT CAST(COUNT(*) AS VARCHAR) || '/' || CAST(COUNT(replaced_by) AS VARCHAR)"
            " || '/' || CAST(COALESCE(SUM(retry), 0) AS VARCHAR) FROM penstock.load"
            " WHERE target = {target} AND key_id IN ({keys})) = {seen} THEN 1 ELSE 0 END",
            keys=literals(seen.key_ids),
            seen=sql.Literal(seen.fingerprint),
        )
        return [lock, guard]

    def decide(self, decisions: Sequence[Decision]) -> Iterator[str]:
        """Statements that write the rows, history first; how many rows a COPY loaded, `count_rows` adds."""
        retried = [decision.arrival.id for decision in decisions if decision.arrival.retry]
        if retried:
            old = "FROM penstock.load WHERE target = {target} AND arrival IN ({ids}) AND verdict = 'quarantined'"
            yield self._sql(
                "INSERT INTO penstock.load_history (target, arrival, retry, dataset, key, rejects, reason, decided_at)"
                f" SELECT target, arrival, retry, dataset, key, rejects, reason, decided_at {old}",
                ids=literals(retried),
            )
            yield self._sql(f"DELETE {old}", ids=literals(retried))
        rows = [sql.SQL("({}, {})").format(self._target, literals(_values(self._dataset, one))) for one in decisions]
        for page in pages_of_bytes(rows, _BYTES):
            yield self._sql(
                "INSERT INTO penstock.load (target, dataset, arrival, bucket, key, key_id, version_id, etag, size,"
                ' modified, retry, verdict, "rows", rejects, reason, lineage) VALUES {rows}',
                rows=sql.SQL(", ").join(page),
            )
        replaced = [(old, one.arrival.id) for one in decisions for old in one.outcome.replaced]
        if replaced:
            by = sql.SQL(" ").join(sql.SQL("WHEN {} THEN {}").format(*map(sql.Literal, pair)) for pair in replaced)
            yield self._sql(
                "UPDATE penstock.load SET replaced_by = CASE arrival {by} END"
                " WHERE target = {target} AND arrival IN ({ids})",
                by=by,
                ids=literals(old for old, _ in replaced),
            )

    def count_rows(self, stage: sql.Identifier, lineage: str) -> str:
        """What each lineage of the stage loaded; `lineage` is that of rows which carry none."""
        return self._sql(
            'UPDATE penstock.load SET lineage_rows = c.n, "rows" = CASE WHEN arrival = lineage THEN c.n ELSE -1 END'
            " FROM (SELECT COALESCE(penstock_arrival, {lineage}) AS id, COUNT(*) AS n FROM {stage} GROUP BY 1) AS c"
            " WHERE penstock.load.target = {target} AND penstock.load.lineage = c.id",
            lineage=sql.Literal(lineage),
            stage=stage,
        )

    def count_repeats(self, first: sql.Identifier) -> str:
        """Of events what each arrival brought first, and what the table or an earlier one had; after `count_rows`."""
        return self._sql(
            'UPDATE penstock.load SET "rows" = c.n, lineage_rows = c.n, repeats = c.repeats'
            " FROM (SELECT penstock_arrival AS id, SUM(is_new) AS n, COUNT(*) - SUM(is_new) AS repeats FROM {first}"
            " GROUP BY 1) AS c WHERE penstock.load.target = {target} AND penstock.load.arrival = c.id",
            first=first,
        )

    def set_rows(self, lineage: str, rows: Mapping[str, int]) -> str:
        counts = sql.SQL(" ").join(
            sql.SQL("WHEN {} THEN {}").format(sql.Literal(arrival), sql.Literal(n)) for arrival, n in rows.items()
        )
        return self._sql(
            'UPDATE penstock.load SET "rows" = CASE arrival {counts} ELSE 0 END'
            ' WHERE target = {target} AND lineage = {lineage} AND "rows" < 0',
            counts=counts,
            lineage=sql.Literal(lineage),
        )

    def uncounted(self) -> list[tuple[str, str, str, int, str]]:
        """Arrival, bucket, lineage, rows of the lineage and dataset of each row whose COPY was not counted apart."""
        statement = self._sql(
            "SELECT arrival, bucket, lineage, lineage_rows, dataset FROM penstock.load"
            ' WHERE target = {target} AND "rows" < 0 ORDER BY arrival'
        )
        return [(a, b, c, d, e) for a, b, c, d, e in self._api.query(statement, self._doing, self._dataset)]

    def _sql(self, template: str, **parts: sql.Composable) -> str:
        known = {"target": self._target, "gate": self._gate}
        return format_sql(template, **known, **parts)


def _values(dataset: str, decision: Decision) -> list[str | int | None]:
    arrival, outcome = decision.arrival, decision.outcome
    rows = 0 if decision.lineage in ("", arrival.id) else -1
    return [
        *(
            dataset,
            arrival.id,
            as_text(arrival.bucket),
            key_text(arrival.key),
            key_id(arrival),
            as_text(arrival.version_id),
        ),
        *(arrival.etag, arrival.size, moment(arrival.modified), arrival.retry),
        *(str(outcome.verdict), rows, outcome.rejects, as_text(outcome.reason), decision.lineage or arrival.id),
    ]


def _entry(row: Sequence[object]) -> Entry:
    arrival, key, etag, size, modified, verdict, rows, rejects, reason, replaced_by, *rest = row
    retry, lineage, all_rows, repeats = rest
    return Entry(
        arrival=str(arrival),
        key_id=str(key),
        etag=str(etag),
        size=int(str(size)),
        modified=datetime.fromisoformat(str(modified)).replace(tzinfo=UTC),
        verdict=Verdict(str(verdict)),
        rows=int(str(rows)),
        rejects=int(str(rejects)),
        reason=str(reason or ""),
        replaced_by=str(replaced_by or ""),
        retry=int(str(retry)),
        lineage=str(lineage),
        lineage_rows=int(str(all_rows)),
        repeats=int(str(repeats)),
    )
