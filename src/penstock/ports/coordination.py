"""DynamoDB and Step Functions: who works on what. They coordinate, and decide nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from penstock.model.backfills import Claim
from penstock.model.breakers import Breaker


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
    """The execution's name: the plan's id, or `closing_id` of it; a closing has no batches and leases nothing.

    A backfill's is `backfill_id`, by which `Runs` knows its machine.
    """
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
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Bytes per dataset."""
    live: bool = True
    status: RunStatus = RunStatus.RUNNING
    ended: datetime | None = None
    claim: Claim | None = None
    """What a backfill leases, which has no plan; its `files` and `bytes` are what it works at once."""


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
    unsettled: int = 0
    """After how many runs in a row that had it alone in a batch it was not settled."""


@dataclass(frozen=True, slots=True)
class Memo:
    """What a listing leaves for the next (`penstock.model.memos`). `version` grows with each that is kept, from 1."""

    name: str
    text: str
    version: int = 0


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

    def attempts_of(self, arrivals: Sequence[str]) -> Mapping[str, Attempt]:
        """`waiting` of these alone: what it reads grows with them, and not with all that wait."""
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

    def memos(self) -> Mapping[str, Memo]:
        """All of them, by name. One that can't be read is as one without text: the next that is kept mends it."""
        ...

    def keep_memo(self, memo: Memo) -> bool:
        """Keeps it in the place of the one with its version, or of none with 0.

        False when another stands there by now, which is left alone.
        """
        ...

    def claim_kick_off(self, run: str, dataset: str) -> bool:
        """True unless `finish_kick_off` was called for the two: a kickoff is at least once, and rarely more."""
        ...

    def finish_kick_off(self, run: str, dataset: str, reference: str) -> None: ...


class Runs(Protocol):
    """The ingest state machine, and that of backfills: a run's id says which it is of."""

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
