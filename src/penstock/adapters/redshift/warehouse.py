"""`ports.Warehouse` on Redshift: a load is submitted by `begin`, and looked after by `poll`; none waits for it.

begin ─ read the ledger, stage what it has not decided, submit one transaction ─▶ running
poll  ─ finished ─▶ read the ledger again: all is decided, or the next round is submitted
        guard failed: another load came in between ─▶ the same, from the ledger's new state
        cancelled, or cut off by a pause or a resize ─▶ the same, or the ledger can't be read: the warehouse is down
        COPY failed ─▶ the files that sys_load_error_detail names are read by Penstock, the others copied again; fails
                       it again, Penstock reads them all
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import UTC, datetime

from psycopg import sql

from penstock.adapters.redshift.counts import count_apart
from penstock.adapters.redshift.data_api import DataApi
from penstock.adapters.redshift.ledger import GUARD, ROUND_BYTES, Decision, Ledger, Seen, key_id, ledger_bytes
from penstock.adapters.redshift.row_parts import counted, parts
from penstock.adapters.redshift.sql_text import format_sql, pages, table_of
from penstock.adapters.redshift.staging import Staged, Staging, copies_prefix
from penstock.adapters.redshift.transaction import Load
from penstock.adapters.redshift.upsert import merged_row, merged_rows
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset, OnOverwrite
from penstock.model.errors import TransientError
from penstock.model.ledger_text import key_of
from penstock.model.outcomes import LedgerEntry, LoadOutcome, Reject, Verdict
from penstock.model.plans import Batch
from penstock.ports import LoadProgress, MergedRow, ObjectStore

_DONE = LoadProgress()

_ATTEMPTS = 3
"""All by COPY; the culprits read by Penstock; all read by Penstock."""

_PAGE = 50_000
"""Ledger rows that one statement answers: each looks through all of them, for they lie in no order."""

_TURN = 600.0
"""Seconds that a quarantine may wait for the loads of its table that come before it; SettleBatch has 900."""

_AT_ONCE = 100
"""Files that are quarantined in one transaction, each with a reason of any length."""


class RedshiftWarehouse:
    """`role` is the ARN of the IAM role that COPY reads the bucket with, or `default`: the cluster's own. `store` is
    that bucket, for the rounds that `poll` submits. `wait` is how many seconds a poll may wait for its load: none in a
    function, which would be paid for it.
    """

    def __init__(self, api: DataApi, role: str, store: ObjectStore, wait: int = 0) -> None:
        self._api = api
        self._role = role
        self._store = store
        self._wait = wait

    # ── loading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, batch: Batch, dataset: Dataset, store: ObjectStore) -> LoadProgress:
        return self._next(batch, dataset, store, 1, frozenset())

    def poll(self, batch: Batch, dataset: Dataset, handle: str) -> LoadProgress:
        attempt, _, rest = handle.partition(" ")
        copy, _, statement = rest.partition(" ")
        doing = _doing(batch, dataset)
        found = self._api.describe(statement, doing, self._wait)
        if found.running:
            return LoadProgress(running=True, handle=handle)
        if found.status == "FINISHED" or found.failed == GUARD or found.broken_off or found.undone:
            return self._next(batch, dataset, self._store, 1, frozenset(), (copy, statement))
        error = found.to_raise(doing, dataset.name)
        if isinstance(error, TransientError) or int(attempt) == _ATTEMPTS:
            raise error
        culprits = self._culprits(batch, copy)
        if not culprits and found.failed is None:
            raise error
        return self._next(batch, dataset, self._store, int(attempt) + 1 if culprits else _ATTEMPTS, culprits)

    def _next(
        self,
        batch: Batch,
        dataset: Dataset,
        store: ObjectStore,
        attempt: int,
        culprits: AbstractSet[str],
        ended: tuple[str, str] = ("", ""),
    ) -> LoadProgress:
        """Submits what the ledger has not decided: one version of a key at a time, for its fate decides the next's.

        `ended` are a COPY's id and its statement. Should the same be begun once more, the ledger has nothing of it, or
        nothing any more: by the same token it would not run again.
        """
        ledger = Ledger(self._api, dataset)
        seen = ledger.look(batch.arrivals)
        undecided = [arrival for arrival in batch.arrivals if seen.decided(arrival) is None]
        wanted: dict[str, Arrival] = {}
        room = ROUND_BYTES
        for arrival in undecided:
            room -= ledger_bytes(arrival)
            if room < 0 and wanted:
                break  # Keys of a thousand backslashes each: the rest has a round of its own.
            wanted.setdefault(key_id(arrival), arrival)
        if not wanted:
            if any(entry.rows < 0 for entry in seen.entries):
                count_apart(self._api, ledger, dataset)
            return _DONE
        read = culprits if attempt < _ATTEMPTS else None
        copy = _copy_id(dataset, seen, list(wanted.values()), attempt, culprits)
        if copy == ended[0]:
            copy = hashlib.blake2b(" ".join(ended).encode(), digest_size=16).hexdigest()
        at_once = {arrival.id: outcome for arrival in wanted.values() if (outcome := _at_once(dataset, seen, arrival))}
        to_load = [arrival for arrival in wanted.values() if arrival.id not in at_once]
        staged = Staging(dataset, store, copy, read).stage(to_load) if to_load else Staged()
        if staged.unreadable and len(staged.unreadable) == len(undecided):
            raise staged.unreadable[0]  # Not one of them: it is the store's fault, and no file's.
        decisions = _decisions(dataset, seen, list(wanted.values()), at_once, staged)
        load = Load(dataset, ledger, self._role, batch.arrivals[0].bucket)
        statement = self._api.submit(load.statements(seen, staged, decisions, copy), copy, _doing(batch, dataset))
        return LoadProgress(running=True, handle=f"{attempt} {copy} {statement}")

    def _culprits(self, batch: Batch, copy: str) -> frozenset[str]:
        """Ids of the arrivals whose files a COPY has stumbled over. Their names say which: they are of our making."""
        where = f"s3://{batch.arrivals[0].bucket}/{copies_prefix(copy)}"
        found = self._api.query(
            format_sql(
                "SELECT DISTINCT TRIM(file_name) FROM sys_load_error_detail WHERE file_name LIKE {where}",
                where=sql.Literal(f"{where}%"),
            ),
            f"ask which file COPY {copy} has failed on",
        )
        return frozenset(str(name).removeprefix(where)[:32] for (name,) in found)

    def quarantine(self, dataset: Dataset, arrivals: Sequence[Arrival], reason: str) -> None:
        for page in pages(arrivals, _AT_ONCE):
            self._quarantine(dataset, page, reason)

    def _quarantine(self, dataset: Dataset, arrivals: Sequence[Arrival], reason: str) -> None:
        ledger = Ledger(self._api, dataset)
        doing = f"quarantine files of dataset {dataset.name}"
        for _ in range(5):
            seen = ledger.look(arrivals)
            wanted = {arrival.id: arrival for arrival in arrivals if seen.decided(arrival) is None}
            if not wanted:
                return
            outcome = LoadOutcome(Verdict.QUARANTINED, reason=reason)
            decisions = [Decision(arrival, outcome) for arrival in wanted.values()]
            ended = self._api.run([*ledger.lock_and_guard(seen), *ledger.decide(decisions)], doing, _TURN)
            if ended.status == "FINISHED":
                return
            if ended.failed != GUARD and not ended.undone:
                raise ended.to_raise(doing, dataset.name)
        raise TransientError(f"Redshift could not {doing}: other loads came in between five times. Try again")

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def outcomes(self, dataset: Dataset, arrivals: Sequence[Arrival]) -> Mapping[str, LoadOutcome]:
        ledger = Ledger(self._api, dataset)
        seen = ledger.look(arrivals)
        if any(entry.rows < 0 for entry in seen.entries):
            count_apart(self._api, ledger, dataset)
            seen = ledger.look(arrivals)
        found: dict[str, LoadOutcome] = {}
        for arrival in arrivals:
            if entry := seen.decided(arrival):
                replaced = tuple(old.arrival for old in seen.entries if old.replaced_by == arrival.id)
                found[arrival.id] = LoadOutcome(
                    entry.verdict,
                    entry.rows,
                    entry.rejects,
                    entry.reason,
                    replaced,
                    bool(entry.replaced_by),
                    entry.repeats,
                )
        return found

    def duplicates(self, dataset: Dataset, arrivals: Sequence[Arrival]) -> frozenset[str]:
        seen = Ledger(self._api, dataset).look(arrivals)
        return frozenset(
            arrival.id
            for arrival in arrivals
            if any(
                one.arrival != arrival.id and (one.etag, one.size) == (arrival.etag, arrival.size)
                for one in seen.loaded(arrival)
            )
        )

    def rejects(self, dataset: Dataset, arrival: Arrival) -> Iterator[Reject]:
        statement = format_sql(
            "SELECT r.line, r.column_name, r.reason, r.raw FROM penstock.reject AS r JOIN penstock.load AS l"
            " ON l.target = r.target AND l.arrival = r.arrival AND l.retry = r.retry"
            " WHERE r.target = {target} AND r.arrival = {arrival} ORDER BY r.ordinal",
            target=sql.Literal(table_of(dataset).qualified),
            arrival=sql.Literal(arrival.id),
        )
        for line, column, reason, raw in self._api.query(statement, f"read the rejects of {arrival.uri}"):
            yield Reject(int(line), str(column), str(reason), str(raw))

    def merged_rows(self, dataset: Dataset, arrival: Arrival) -> Iterator[MergedRow]:
        """One statement, whose result Redshift keeps while it is fetched a page at a time."""
        for row in self._api.query(merged_rows(dataset, arrival), f"read the rows of {arrival.uri}", dataset.name):
            yield merged_row(row)

    def ledger(self, dataset: Dataset, after: str = "") -> Iterator[LedgerEntry]:
        table = table_of(dataset)
        count_apart(self._api, Ledger(self._api, dataset), dataset)
        last = after
        while True:
            statement = format_sql(
                'SELECT arrival, dataset, key, version_id, size, verdict, "rows", rejects, replaced_by,'
                " TO_CHAR(decided_at, 'YYYY-MM-DD HH24:MI:SS.US'), repeats FROM penstock.load"
                " WHERE target = {target} AND arrival > {last} ORDER BY arrival LIMIT {page}",
                target=sql.Literal(table.qualified),
                last=sql.Literal(last),
                page=sql.Literal(_PAGE),
            )
            page = list(self._api.query(statement, f"read the load ledger of {table.qualified}"))
            if not page:
                return
            for arrival, name, key, version, size, verdict, rows, rejects, by, decided, repeats in page:
                at = datetime.fromisoformat(decided).replace(tzinfo=UTC)
                yield LedgerEntry(
                    arrival,
                    name,
                    key_of(key),
                    version,
                    size,
                    Verdict(verdict),
                    max(rows, 0),
                    rejects,
                    by or "",
                    at,
                    repeats,
                )
            last = page[-1][0]

    def row_parts(self, dataset: Dataset, after: str = "") -> Iterator[str]:
        return parts(self._api, dataset, after)

    def rows_by_arrival(self, dataset: Dataset, part: str = "") -> Iterator[tuple[str, int]]:
        count_apart(self._api, Ledger(self._api, dataset), dataset)
        return counted(self._api, dataset, part)


def _at_once(dataset: Dataset, seen: Seen, arrival: Arrival) -> LoadOutcome | None:
    """What is decided of it without a look at its content."""
    earlier = seen.loaded(arrival)
    if any((old.etag, old.size) == (arrival.etag, arrival.size) for old in earlier):
        return LoadOutcome(Verdict.DUPLICATE)
    if earlier and dataset.on_overwrite is OnOverwrite.REFUSE:
        return LoadOutcome(
            Verdict.QUARANTINED,
            reason=f"key {arrival.key} was loaded before with other content (arrival {earlier[-1].arrival}), and "
            f"dataset {dataset.name} says on_overwrite: refuse. Send it under a new key",
        )
    if dataset.on_overwrite is not OnOverwrite.REPLACE:
        return None
    later = [old for old in earlier if old.modified >= arrival.modified]
    if arrival.retry and later:
        return LoadOutcome(
            Verdict.QUARANTINED,
            reason=f"a later version of {arrival.key} is loaded (arrival {later[-1].arrival}), and dataset "
            f"{dataset.name} says on_overwrite: replace: this older one would take its place. There is nothing to do, "
            "or send it anew",
        )
    if mixed := [old for old in earlier if old.lineage != old.arrival]:
        return LoadOutcome(
            Verdict.QUARANTINED,
            reason=f"it would replace arrival {mixed[-1].arrival}, whose rows came in one COPY with other files' "
            f"(before dataset {dataset.name} said on_overwrite: replace) and can't be told from them. Rebuild it",
        )
    return None


def _decisions(
    dataset: Dataset, seen: Seen, arrivals: Sequence[Arrival], at_once: Mapping[str, LoadOutcome], staged: Staged
) -> list[Decision]:
    lineages = {arrival.id: one.lineage for one in staged.copies for arrival in one.arrivals}
    decisions: list[Decision] = []
    for arrival in arrivals:
        outcome = at_once.get(arrival.id) or staged.outcomes.get(arrival.id) or LoadOutcome(Verdict.LOADED)
        if outcome.verdict is Verdict.LOADED and dataset.on_overwrite is OnOverwrite.REPLACE:
            outcome = replace(outcome, replaced=tuple(old.arrival for old in seen.loaded(arrival)))
        decisions.append(Decision(arrival, outcome, lineages.get(arrival.id, "")))
    return decisions


def _copy_id(
    dataset: Dataset, seen: Seen, arrivals: Sequence[Arrival], attempt: int, culprits: AbstractSet[str]
) -> str:
    """The same load of the same ledger has the same id, and with it the same token and the same keys in S3."""
    arrived = [f"{arrival.id}/{arrival.retry}" for arrival in arrivals]
    parts = [table_of(dataset).qualified, seen.fingerprint, str(attempt), *arrived, *sorted(culprits)]
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _doing(batch: Batch, dataset: Dataset) -> str:
    return f"load batch {batch.number} of dataset {dataset.name} into {table_of(dataset).qualified}"
