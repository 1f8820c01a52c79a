"""The load ledger `penstock.load` and its rejects `penstock.reject`: every statement on them stands here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from penstock.adapters.postgres.connection import Connection
from penstock.model.arrivals import Arrival
from penstock.model.ledger_text import as_text, key_of, key_text
from penstock.model.outcomes import LedgerEntry, LoadOutcome, Reject, Verdict

NOT_WORKED = "the load ended before this file was worked"
"""What a ledger row says until it is decided. No one can see it unless a load commits without deciding: then it is
quarantined, not lost."""

_PAGE = 500
"""Rejects read at once: at most 10,000 characters each. Ledger rows too."""

_BEFORE_ALL = "00000000-0000-0000-0000-000000000000"
"""No arrival's id: a hash is not nothing but zeros. It marks rows that were in a table before Penstock came to it."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An arrival that was loaded before under the same key, and whose rows are still there."""

    arrival: str
    etag: str
    size: int
    modified: datetime


class Ledger:
    """The rows of one target table (`schema.name`)."""

    def __init__(self, connection: Connection, target: str) -> None:
        self._connection = connection
        self._target = target

    def _targets(self, of: Collection[object]) -> list[str]:
        """The target once for each, so that a statement looks each up by the primary key.

        No other index begins with the target. Before the table has been analysed, and a growing one never is in time,
        PostgreSQL takes a target to have few rows; what begins with it would serve as well, and read them all.
        """
        return [self._target] * len(of)

    def claim(self, dataset: str, arrivals: Sequence[Arrival], reason: str = NOT_WORKED) -> list[Arrival]:
        """Inserts a row, `quarantined` for now, for each that has none; those are returned, in the order given.

        Waits where another transaction has inserted one and not ended. Always in the order of ids: two loads of the
        same arrivals can't deadlock. A quarantine of a lesser `retry` than the arrival's goes to the history and is
        claimed anew: whoever comes second finds the new row, as one that was never retried would.
        """
        self._keep_history(arrivals)
        found = self._connection.execute(
            """
            INSERT INTO penstock.load
                (target, arrival, dataset, bucket, key, version_id, etag, size, modified, retry, verdict, reason)
            SELECT DISTINCT ON (a.arrival)
                %s, a.arrival, %s, a.bucket, a.key, a.version_id, a.etag, a.size, a.modified, a.retry, %s, %s
            FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::timestamptz[],
                %s::integer[]) AS a (arrival, bucket, key, version_id, etag, size, modified, retry)
            ORDER BY a.arrival
            ON CONFLICT (target, arrival) DO UPDATE
            SET dataset = excluded.dataset, retry = excluded.retry, reason = excluded.reason, rejects = 0,
                decided_at = clock_timestamp()
            WHERE load.verdict = 'quarantined' AND load.retry < excluded.retry
            RETURNING arrival
            """,
            (
                self._target,
                dataset,
                Verdict.QUARANTINED,
                as_text(reason),
                [arrival.id for arrival in arrivals],
                [as_text(arrival.bucket) for arrival in arrivals],
                [key_text(arrival.key) for arrival in arrivals],
                [as_text(arrival.version_id) for arrival in arrivals],
                [as_text(arrival.etag) for arrival in arrivals],
                [arrival.size for arrival in arrivals],
                [arrival.modified for arrival in arrivals],
                [arrival.retry for arrival in arrivals],
            ),
        )
        mine = {arrival.hex for (arrival,) in found}
        return list({arrival.id: arrival for arrival in arrivals if arrival.id in mine}.values())

    def _keep_history(self, arrivals: Sequence[Arrival]) -> None:
        """Copies the quarantines that do not bind these arrivals any more, and locks them for the claim."""
        retried = [arrival for arrival in arrivals if arrival.retry]
        if not retried:
            return
        self._connection.execute(
            """
            INSERT INTO penstock.load_history (target, arrival, retry, dataset, key, rejects, reason, decided_at)
            SELECT l.target, l.arrival, l.retry, l.dataset, l.key, l.rejects, l.reason, l.decided_at
            FROM penstock.load AS l
            JOIN unnest(%s::text[], %s::uuid[], %s::integer[]) AS a (target, arrival, retry) USING (target, arrival)
            WHERE l.verdict = 'quarantined' AND l.retry < a.retry
            ORDER BY l.arrival FOR UPDATE OF l
            """,
            (self._targets(retried), [arrival.id for arrival in retried], [arrival.retry for arrival in retried]),
        )

    def loaded_before(self, arrivals: Sequence[Arrival]) -> dict[tuple[str, str], list[Earlier]]:
        """By bucket and key: what was loaded under the arrivals' keys and not replaced since, the oldest first."""
        written = {
            (as_text(arrival.bucket), key_text(arrival.key)): (arrival.bucket, arrival.key) for arrival in arrivals
        }
        found = self._connection.execute(
            """
            SELECT l.bucket, l.key, l.arrival, l.etag, l.size, l.modified
            FROM unnest(%s::text[], %s::text[]) AS a (bucket, key)
            -- OFFSET keeps the target out of it: by that, the primary key would seem to lead there as well.
            CROSS JOIN LATERAL (SELECT * FROM penstock.load WHERE key = a.key AND bucket = a.bucket OFFSET 0) AS l
            WHERE l.target = %s AND l.verdict = %s AND l.replaced_by IS NULL
            ORDER BY l.decided_at, l.arrival
            """,
            (
                [bucket for bucket, _ in written],
                [key for _, key in written],
                self._target,
                Verdict.LOADED,
            ),
        )
        earlier: dict[tuple[str, str], list[Earlier]] = defaultdict(list)
        for bucket, key, arrival, etag, size, modified in found:
            earlier[written[bucket, key]].append(Earlier(arrival.hex, etag, size, modified))
        return earlier

    def decide(self, outcomes: Mapping[str, LoadOutcome]) -> None:
        """Writes what became of claimed arrivals, by arrival id in the order of their loads, and which arrivals they
        replaced. `decided_at` keeps that order: a replay goes by it, and an event's first row is then the same.
        """
        self._connection.execute(
            """
            UPDATE penstock.load AS l
            SET verdict = o.verdict, rows = o.rows, repeats = o.repeats, rejects = o.rejects, reason = o.reason,
                decided_at = statement_timestamp() + o.place * interval '1 microsecond'
            FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[])
                WITH ORDINALITY AS o (target, arrival, verdict, rows, repeats, rejects, reason, place)
            WHERE l.target = o.target AND l.arrival = o.arrival
            """,
            (
                self._targets(outcomes),
                list(outcomes),
                [str(outcome.verdict) for outcome in outcomes.values()],
                [outcome.rows for outcome in outcomes.values()],
                [outcome.repeats for outcome in outcomes.values()],
                [outcome.rejects for outcome in outcomes.values()],
                [as_text(outcome.reason) for outcome in outcomes.values()],
            ),
        )
        replaced = [(old, new) for new, outcome in outcomes.items() for old in outcome.replaced]
        if replaced:
            self._connection.execute(
                """
                UPDATE penstock.load AS l SET replaced_by = r.new
                FROM unnest(%s::text[], %s::uuid[], %s::uuid[]) AS r (target, old, new)
                WHERE l.target = r.target AND l.arrival = r.old
                """,
                (self._targets(replaced), [old for old, _ in replaced], [new for _, new in replaced]),
            )

    def outcomes(self, arrivals: Sequence[Arrival]) -> dict[str, LoadOutcome]:
        """What is decided of the arrivals, by arrival id."""
        found = self._connection.execute(
            """
            SELECT l.arrival, l.verdict, l.rows, l.rejects, l.reason, ARRAY(
                SELECT r.arrival FROM (SELECT * FROM penstock.load WHERE replaced_by = l.arrival OFFSET 0) AS r
                WHERE r.target = l.target ORDER BY r.decided_at, r.arrival
            ), l.replaced_by IS NOT NULL, l.repeats
            FROM penstock.load AS l
            JOIN unnest(%s::text[], %s::uuid[], %s::integer[]) AS a (target, arrival, retry) USING (target, arrival)
            WHERE l.verdict <> 'quarantined' OR l.retry >= a.retry
            """,
            (self._targets(arrivals), [arrival.id for arrival in arrivals], [arrival.retry for arrival in arrivals]),
        )
        return {
            arrival.hex: LoadOutcome(
                Verdict(verdict), rows, rejects, reason, tuple(old.hex for old in replaced), is_replaced, repeats
            )
            for arrival, verdict, rows, rejects, reason, replaced, is_replaced, repeats in found
        }

    def entries_after(self, arrival: str) -> Iterator[LedgerEntry]:
        """The next page by arrival id; the first for an empty one."""
        found = self._connection.execute(
            """
            SELECT arrival, dataset, key, version_id, size, verdict, rows, rejects, replaced_by, decided_at, repeats
            FROM penstock.load WHERE target = %s AND arrival > %s ORDER BY arrival LIMIT %s
            """,
            (self._target, arrival or _BEFORE_ALL, _PAGE),
        )
        for this, dataset, key, version_id, size, verdict, rows, rejects, replaced_by, decided, repeats in found:
            by = replaced_by.hex if replaced_by else ""
            yield LedgerEntry(
                this.hex, dataset, key_of(key), version_id, size, Verdict(verdict), rows, rejects, by, decided, repeats
            )

    def keep_rejects(self, arrival: Arrival, rejects: Sequence[tuple[int, Reject]]) -> None:
        """The first rejects of a quarantined file, each with its row's ordinal."""
        with self._connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO penstock.reject (target, arrival, retry, ordinal, line, column_name, reason, raw)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    (
                        self._target,
                        arrival.id,
                        arrival.retry,
                        ordinal,
                        reject.line,
                        reject.column,
                        reject.reason,
                        reject.raw,
                    )
                    for ordinal, reject in rejects
                ],
            )

    def rejects_after(self, arrival: str, after: int) -> Iterator[tuple[int, Reject]]:
        """The next page of an arrival's rejects in the file's order, each with its row's ordinal: its last retry's."""
        found = self._connection.execute(
            """
            SELECT ordinal, line, column_name, r.reason, raw
            FROM penstock.reject AS r JOIN penstock.load AS l USING (target, arrival, retry)
            WHERE target = %s AND arrival = %s AND ordinal > %s ORDER BY ordinal LIMIT %s
            """,
            (self._target, arrival, after, _PAGE),
        )
        for ordinal, line, column, reason, raw in found:
            yield ordinal, Reject(line, column, reason, raw)
