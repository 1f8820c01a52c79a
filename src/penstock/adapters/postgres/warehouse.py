"""`ports.Warehouse` on PostgreSQL: one transaction per batch, in which the ledger rows come before the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from penstock.adapters.postgres.column_types import table_of
from penstock.adapters.postgres.connection import Connections, Limits
from penstock.adapters.postgres.errors import translated
from penstock.adapters.postgres.judge import Judge
from penstock.adapters.postgres.ledger import Earlier, Ledger
from penstock.adapters.postgres.load_file import FileLoader
from penstock.adapters.postgres.require_table import require_table
from penstock.adapters.postgres.row_parts import counting, parts
from penstock.adapters.postgres.upsert import merged_rows
from penstock.adapters.read_ahead import read_ahead
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.model.outcomes import LedgerEntry, LoadOutcome, Reject, Verdict
from penstock.model.plans import Batch
from penstock.ports import LoadProgress, MergedRow, ObjectStore

_PAGE = 10_000
"""Arrivals whose counts are fetched at once."""


class PostgresWarehouse:
    """`conninfo` is libpq's, with the role that loads (`penstock_loader`); `sslmode` and the like are its parameters.

    It may be what asks for it, as for a secret: at each connecting, and what that raises is raised.
    It holds one connection, which threads share by turns: a Lambda loads one batch at a time.
    """

    def __init__(self, conninfo: str | Callable[[], str], limits: Limits | None = None) -> None:
        self._connections = Connections(conninfo, limits or Limits())

    def begin(self, batch: Batch, dataset: Dataset, store: ObjectStore) -> LoadProgress:
        """Loads the batch and returns when it is committed. TransientError means that nothing of it was kept.

        What stands against every file is told from what stands against one: the table is asked before a file is read.
        """
        target = table_of(dataset).qualified
        doing = f"load batch {batch.number} of dataset {dataset.name} into {target}"
        with self._connections.transaction(doing, dataset.name, by_index=True) as session:
            ledger = Ledger(session.connection, target)
            claimed = ledger.claim(dataset.name, batch.arrivals)
            if not claimed:
                return LoadProgress()
            require_table(session.connection, dataset)
            earlier = ledger.loaded_before(claimed)
            session.plans_freely()
            fresh = [arrival for arrival in claimed if (arrival.bucket, arrival.key) not in earlier]
            with read_ahead(store, fresh) as files:
                loader = FileLoader(session, ledger, Judge.of(session.connection), dataset, files)
                outcomes = _load_each(loader, claimed, earlier)
            ledger.decide(outcomes)
        return LoadProgress()

    def poll(self, batch: Batch, dataset: Dataset, handle: str) -> LoadProgress:  # noqa: ARG002 - the port's
        """Finished: `begin` returns after the commit."""
        return LoadProgress()

    def outcomes(self, dataset: Dataset, arrivals: Sequence[Arrival]) -> Mapping[str, LoadOutcome]:
        target = table_of(dataset).qualified
        doing = f"read the load ledger of {target}"
        with self._connections.transaction(doing, dataset.name, by_index=True) as session:
            return Ledger(session.connection, target).outcomes(arrivals)

    def duplicates(self, dataset: Dataset, arrivals: Sequence[Arrival]) -> frozenset[str]:
        target = table_of(dataset).qualified
        doing = f"look for duplicates in the load ledger of {target}"
        with self._connections.transaction(doing, dataset.name, by_index=True) as session:
            earlier = Ledger(session.connection, target).loaded_before(arrivals)
        return frozenset(
            arrival.id
            for arrival in arrivals
            if any(
                one.arrival != arrival.id and (one.etag, one.size) == (arrival.etag, arrival.size)
                for one in earlier.get((arrival.bucket, arrival.key), [])
            )
        )

    def quarantine(self, dataset: Dataset, arrivals: Sequence[Arrival], reason: str) -> None:
        target = table_of(dataset).qualified
        doing = f"quarantine files of dataset {dataset.name}"
        with self._connections.transaction(doing, dataset.name, by_index=True) as session:
            Ledger(session.connection, target).claim(dataset.name, arrivals, reason)

    def rejects(self, dataset: Dataset, arrival: Arrival) -> Iterator[Reject]:
        """Read a page at a time, each in a transaction of its own: a slow reader holds nothing."""
        target = table_of(dataset).qualified
        last = -1
        while True:
            with self._connections.transaction(f"read the rejects of {arrival.uri}", dataset.name) as session:
                page = list(Ledger(session.connection, target).rejects_after(arrival.id, last))
            if not page:
                return
            yield from (reject for _, reject in page)
            last = page[-1][0]

    def merged_rows(self, dataset: Dataset, arrival: Arrival) -> Iterator[MergedRow]:
        """By key, each page in a transaction of its own: a slow reader holds nothing."""
        assert dataset.row_key  # noqa: S101 - the port's condition
        last: MergedRow | None = None
        while True:
            with self._connections.transaction(f"read the rows of {arrival.uri}", dataset.name) as session:
                page = merged_rows(session.connection, dataset, arrival.id, last, _PAGE)
            if not page:
                return
            yield from page
            last = page[-1]

    def ledger(self, dataset: Dataset, after: str = "") -> Iterator[LedgerEntry]:
        """Each page in a transaction of its own."""
        target = table_of(dataset).qualified
        last = after
        while True:
            with self._connections.transaction(f"read the load ledger of {target}") as session:
                page = list(Ledger(session.connection, target).entries_after(last))
            if not page:
                return
            yield from page
            last = page[-1].arrival

    def row_parts(self, dataset: Dataset, after: str = "") -> Iterator[str]:
        table = table_of(dataset)
        with self._connections.transaction(f"look how large {table.qualified} is") as session:
            found = list(parts(session.connection, table, after))
        yield from found

    def rows_by_arrival(self, dataset: Dataset, part: str = "") -> Iterator[tuple[str, int]]:
        """One statement, whose answer waits on the server: its transaction lasts until the last one is taken."""
        table = table_of(dataset)
        with (
            self._connections.transaction(f"count the rows of {table.qualified} by arrival") as session,
            session.connection.cursor("rows_by_arrival") as cursor,
        ):
            cursor.itersize = _PAGE
            for arrival, rows in cursor.execute(counting(table, part)):
                yield arrival.hex, rows

    def close(self) -> None:
        self._connections.close()


def _load_each(
    loader: FileLoader, arrivals: Sequence[Arrival], earlier: dict[tuple[str, str], list[Earlier]]
) -> dict[str, LoadOutcome]:
    """What became of each. One that can't be read, as a version that is gone, is set aside; when none can be, the error
    is the store's and not a file's, and is raised.
    """
    outcomes: dict[str, LoadOutcome] = {}
    unreadable: list[PermanentError] = []
    for arrival in arrivals:
        before = earlier.setdefault((arrival.bucket, arrival.key), [])
        try:
            with translated(f"load {arrival.uri}"):  # As a trigger may refuse one file: the others go on.
                outcome = loader.load(arrival, before)
        except PermanentError as error:
            unreadable.append(error)
            outcome = LoadOutcome(Verdict.QUARANTINED, reason=str(error))
        outcomes[arrival.id] = outcome
        if outcome.verdict is Verdict.LOADED:
            if outcome.replaced:
                before.clear()
            before.append(Earlier(arrival.id, arrival.etag, arrival.size, arrival.modified))
    if len(unreadable) == len(arrivals):
        raise unreadable[0]
    return outcomes
