"""The seams. A use case knows these Protocols and nothing of what stands behind them.

Adapters raise `TransientError` when the same call may succeed later (of a destination that is down as a whole,
`DestinationDownError`) and `PermanentError` when it can't; they let no client's own exception through. Each has one
contract suite (`tests/contract/`) that its fake and its real adapter pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from penstock.model.arrivals import Arrival
from penstock.model.breakers import Breaker
from penstock.model.datasets import Dataset
from penstock.model.documents import Document as Document
from penstock.model.outcomes import IndexOutcome, LedgerEntry, LoadOutcome, Reject
from penstock.model.plans import Batch
from penstock.model.replays import Comparison, Known
from penstock.model.streams import ByteStream


class Clock(Protocol):
    def now(self) -> datetime:
        """The time, in UTC, with its zone."""
        ...


# ── S3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Move:
    arrival: Arrival
    to: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a plain listing shows of an object; `size` is in bytes."""

    key: str
    size: int
    modified: datetime


class ObjectStore(Protocol):
    """The landing bucket."""

    def arrivals(self, prefix: str) -> Iterator[Arrival]:
        """Every object version below `prefix`, a page at a time: keys ascending, versions of a key oldest first.

        Delete markers are passed over: a plain DELETE withdraws nothing. So are "directory" objects (empty, key ending
        in `/`).
        """
        ...

    def open(self, arrival: Arrival) -> AbstractContextManager[ByteStream]:
        """That version's bytes. A dropped connection shows as TransientError from `read`, never as an early end."""
        ...

    def move(self, moves: Sequence[Move]) -> None:
        """Copies each version to its new key, then deletes it by version id; only what was copied is deleted.

        Done twice it changes nothing: a version that is gone and whose target is there was moved before. Raises
        PermanentError when both are gone. Metadata and tags go along; over 5 GB in parts. An arrival that was settled
        before is taken from its location, all versions of it; one that is to stay where it lies is left alone.
        """
        ...

    def get_json(self, key: str) -> Any:
        """The decoded document; KeyError where there is none."""
        ...

    def put_json(self, key: str, document: Any) -> None: ...

    def put_lines(self, key: str, lines: Iterable[bytes]) -> None:
        """Writes the lines, each ended by a newline, in constant memory; the object appears whole or not at all."""
        ...

    def lines(self, key: str) -> Iterator[bytes]:
        """What `put_lines` wrote, without the newlines, in constant memory; KeyError where there is no such object."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys below `prefix` that a plain listing shows, ascending."""
        ...

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """The same with size and time, a page at a time."""
        ...


# ── coordination: DynamoDB and Step Functions ───────────────────────────────────────────────────────────────────────


class RunStatus(StrEnum):
    """Step Functions' own, and one more."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"
    MISSING = "MISSING"
    """No such execution: it was never started, or it closed more than 90 days ago."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What the lease table keeps of a run. Its arrivals are those of its plan: while it is live it leases them all."""

    id: str
    """The execution's name: the plan's id, or `closing_id` of it; a closing has no batches and leases nothing."""
    execution: str
    """The execution's ARN: the owner of the leases."""
    started: datetime
    """Not before then: a closing is recorded ahead of its time."""
    expires: datetime
    """The backstop: after it the leases are void even if Step Functions can't be asked."""
    batches: int
    files: int
    bytes: int
    datasets: Mapping[str, int]
    """Files per dataset."""
    live: bool = True
    status: RunStatus = RunStatus.RUNNING
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class ListingLease:
    """The right to list and plan. `token` grows with every holder and fences off whoever held it before."""

    owner: str
    token: int
    expires: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is remembered of an arrival that was put back."""

    arrival: str
    attempts: int
    not_before: datetime
    reason: str
    run: str = ""
    """The run that the last attempt was part of."""
    crashes: int = 0
    """In how many of the attempts the worker died."""


class Leases(Protocol):
    """The lease table. It only coordinates: the load ledger in the warehouse decides."""

    def acquire_listing(self, owner: str, now: datetime, lasting: timedelta) -> ListingLease | None:
        """The lease, or None when another holds it, in which case a mark tells the holder to list once more."""
        ...

    def release_listing(self, lease: ListingLease) -> bool:
        """Gives it back; True when someone asked for a listing meanwhile, and then the lease is kept."""
        ...

    def record_run(self, lease: ListingLease, run: RunRecord) -> None:
        """Leases the plan's arrivals to the run, in one transaction with the check that `lease` still holds.

        Raises TransientError when it does not: another listing took over, and nothing was written.
        """
        ...

    def live_runs(self) -> Sequence[RunRecord]:
        """Read consistently from the sparse index `live`; never a read per file."""
        ...

    def end_run(self, run: str, status: RunStatus, ended: datetime) -> None:
        """Takes the run out of the index: it leases nothing any more. Done twice it changes nothing."""
        ...

    def runs(self, limit: int) -> Sequence[RunRecord]:
        """The newest first."""
        ...

    def waiting(self) -> Mapping[str, Attempt]:
        """Every arrival that was put back and not settled since, by arrival id."""
        ...

    def put_back(self, attempts: Sequence[Attempt]) -> None: ...

    def forget(self, arrivals: Sequence[str]) -> None:
        """They are settled. Those that were never put back cost nothing."""
        ...

    def breakers(self) -> Mapping[str, Breaker]:
        """Those that are open, by destination."""
        ...

    def open_breaker(self, breaker: Breaker) -> None:
        """Keeps it, in the place of the one that stood for the destination."""
        ...

    def close_breaker(self, destination: str) -> None:
        """One that is closed already stays so."""
        ...

    def claim_kick_off(self, run: str, dataset: str) -> bool:
        """True unless `finish_kick_off` was called for the two: a kickoff is at least once, and rarely more."""
        ...

    def finish_kick_off(self, run: str, dataset: str, reference: str) -> None: ...


class Runs(Protocol):
    """The ingest state machine."""

    def execution_of(self, run: str) -> str:
        """The ARN that a run's execution has or will have."""
        ...

    def start(self, run: str, batches: int) -> None:
        """Starts it, named by the run's id, with the id of its plan (`plan_of_run`).

        One that was started already, running or over, is left as it is.
        """
        ...

    def status(self, execution: str) -> RunStatus: ...


class Pipeline(Protocol):
    """What is kicked off after a run."""

    def start(self, run: str, dataset: str, parameters: Mapping[str, str]) -> str:
        """Starts it with the run's id among its parameters; a reference that an operator can look up."""
        ...


# ── destinations ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """`handle` is set while the load goes on: what `poll` asks for. PostgreSQL has always finished."""

    running: bool = False
    handle: str = ""


class Warehouse(Protocol):
    """Rows, and the load ledger that commits with them."""

    def begin(self, batch: Batch, dataset: Dataset, store: ObjectStore) -> LoadProgress:
        """Loads what the ledger has not decided: ledger rows first, then the rows, in one transaction.

        Each file is under its own savepoint; one that can't be loaded becomes a ledger row `quarantined`. Content that
        was loaded under the same key before becomes `duplicate`. Repeating it finds the ledger rows and does nothing.

        An arrival's `retry` says which quarantines still bind: one of a lesser number goes to the ledger's history, in
        the transaction that decides anew. Rows never take the place of those of a later version of their key.
        """
        ...

    def poll(self, batch: Batch, dataset: Dataset, handle: str) -> LoadProgress: ...

    def outcomes(self, dataset: Dataset, arrivals: Sequence[Arrival]) -> Mapping[str, LoadOutcome]:
        """What the ledger says, by arrival id. An arrival that is not there is undecided: also one whose quarantine is
        of a lesser `retry` than its own.
        """
        ...

    def duplicates(self, dataset: Dataset, arrivals: Sequence[Arrival]) -> frozenset[str]:
        """Ids of those whose content is loaded under their key by another arrival: `begin` adds nothing for them.

        It can be told before the load: versions of a key are worked one after the other.
        """
        ...

    def quarantine(self, dataset: Dataset, arrivals: Sequence[Arrival], reason: str) -> None:
        """A ledger row `quarantined` for each that is undecided; what was decided stays as it was."""
        ...

    def rejects(self, dataset: Dataset, arrival: Arrival) -> Iterator[Reject]:
        """By line. They were written in the transaction of the load; a quarantined file's are cut at a thousand."""
        ...

    def ledger(self, dataset: Dataset) -> Iterator[LedgerEntry]:
        """Every row of the load ledger for the dataset's table, a page at a time, in no order that can be relied on."""
        ...

    def rows_by_arrival(self, dataset: Dataset, since: datetime | None = None) -> Iterator[tuple[str, int]]:
        """Each arrival id that the table's rows carry, once, with how many do; in constant memory.

        `since` leaves out rows that neither were loaded since nor belong to an arrival that was decided since.
        """
        ...


class Rebuild(Protocol):
    """A second table beside a dataset's own: for the owner, and never for the role that loads.

    `live` is the dataset, `rebuilt` the same one with the other table.
    """

    def known(self, dataset: Dataset) -> Sequence[Known]:
        """What the load ledger of its table knows, in no order."""
        ...

    def prepare(self, rebuilt: Dataset) -> Sequence[str]:
        """Creates the table where it isn't there, as the dataset has it; what was done, in words.

        Raises PermanentError when a table is there that no replay has filled.
        """
        ...

    def compare(self, live: Dataset, rebuilt: Dataset) -> Comparison: ...

    def swap(self, live: Dataset, rebuilt: Dataset, now: datetime) -> str:
        """Puts the rebuilt table in the live one's place, ledger and rights included, in one transaction.

        The name under which the live one is kept. Raises PermanentError, and changes nothing, when the live ledger has
        decided an arrival that the rebuilt one has not.
        """
        ...

    def readers(self, live: Dataset) -> Sequence[str]:
        """Views that a swap leaves with the old table."""
        ...


class SearchIndex(Protocol):
    def write(self, index: str, documents: Iterable[Document]) -> IndexOutcome:
        """Writes them in `_bulk` requests bounded by bytes, reading every item's own status.

        429 and 5xx items alone are sent again, with backoff; TransientError when they don't get through. Any other
        failed item is a reject with the index's reason.
        """
        ...

    def delete_arrival(self, index: str, arrival: str) -> None:
        """Deletes the documents that carry `penstock_arrival` = arrival."""
        ...

    def delete(self, index: str, ids: Sequence[str]) -> None:
        """Deletes those documents; one that is not there is no error."""
        ...

    def count(self, index: str, arrival: str | None = None) -> int:
        """How many documents the index holds (of that arrival), after a refresh."""
        ...

    def documents_by_arrival(self, index: str) -> Iterator[tuple[str, int]]:
        """Each arrival id that documents carry, once, with how many do; after a refresh, and a page at a time."""
        ...

    def search(self, index: str, text: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """The best first: `{"_id", "_score", "_source"}`."""
        ...

    def apply(self, dataset: Dataset) -> bool:
        """Creates or updates the dataset's index template and index; True if anything changed.

        Raises PermanentError where the index's mapping conflicts with the dataset.
        """
        ...
