"""What becomes of an arrival, from what its destinations say of it. Pure: `settle_batch` asks, and carries it out.

Where there is a table the load ledger decides, and the search branch only says whether the documents can follow.
Without a table the index decides. What nobody decided is put back, to be tried again later, and not for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from penstock.model.arrivals import INCOMING, Arrival
from penstock.model.datasets import Dataset
from penstock.model.errors import down_in
from penstock.model.outcomes import IndexOutcome, LoadOutcome, Settlement, Verdict, too_many_rejects

_FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
_MAX_REASON = 1000
"""Characters of a reason that are kept: it goes into a state's output and a mail."""


_INCOMPLETE = "Its rows are loaded, its documents are not complete: "


class Documents(StrEnum):
    """What is to happen to the arrival's documents before it is settled."""

    LEAVE = "leave"
    CONVERGE = "converge"
    """Those of rows that the ledger rejected go, and those of arrivals whose rows it replaced."""
    DELETE = "delete"


_ENOUGH = 2
"""Runs that had to settle one file alone and did not: one may have been stopped by somebody."""

CRASHES = frozenset(("Lambda.Unknown", "Sandbox.Timedout", "Runtime.ExitError", "States.Timeout"))
"""What a branch ends in when its worker died: of it no file is known to be the cause, and any may be."""
DEATHS = CRASHES - {"Sandbox.Timedout", "States.Timeout"}
"""Those of which no destination can be the cause: one that is slow lets a worker run out of time, and kills none."""
_OF_AWS = ("Lambda.", "ECS.", "AmazonECS.")
"""How errors begin that AWS has in a worker's place, but for those in CRASHES: throttled, forbidden, no room."""


@dataclass(frozen=True, slots=True)
class Branch:
    """How a branch of the batch ended: `reason` is empty when it is done."""

    reason: str = ""
    crashed: bool = False
    died: bool = False
    unstarted: bool = False
    """AWS started no worker."""
    down: str = ""
    """The destination that it found to be down, as its error said, and below why."""
    down_reason: str = ""

    @classmethod
    def of(cls, outcome: Mapping[str, Any]) -> Branch:
        """From the state machine's `{"status": …}`. A status that isn't `done` has not finished its work."""
        if outcome.get("status") == "done":
            return cls()
        error, cause = str(outcome.get("error") or "no outcome"), str(outcome.get("cause") or "")
        reason = shortened(f"{error}: {cause}" if cause else error)
        down = down_in(cause)
        unstarted = error.startswith(_OF_AWS) and error not in CRASHES
        return cls(reason, error in CRASHES, error in DEATHS, unstarted, down, cause.partition(": ")[2] if down else "")


@dataclass(frozen=True, slots=True)
class Decision:
    settlement: Settlement
    reason: str = ""
    documents: Documents = Documents.LEAVE
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of one arrival. `load` and `indexed` are None where nothing was said; `attempts` are past ones."""

    dataset: Dataset
    load: LoadOutcome | None
    indexed: IndexOutcome | None
    warehouse: Branch
    search: Branch
    attempts: int
    most_attempts: int
    retried: bool = False
    """By an operator, from `failed/`: it has this one attempt, and is not put back into `incoming/`."""
    alone: bool = True
    """In its batch. What a batch as a whole ended in is no evidence against one file among others."""
    crashes: int = 0
    """In how many of the past attempts the worker died."""
    unsettled: int = 0
    """How many of its last attempts in a row, alone in its batch, ended before they had settled it."""

    @property
    def dies_settling(self) -> bool:
        """Its settling is tried with less: all attempts are over, and twice no other file can have been the cause."""
        return self.is_last and self.unsettled >= _ENOUGH and self.dataset.table is not None

    @property
    def died(self) -> bool:
        """It is undecided because a worker died: no destination refused it."""
        return (self.warehouse if undecided(self) else self.search).died

    @property
    def is_last(self) -> bool:
        return self.retried or (self.alone and self.attempts + 1 >= self.most_attempts)

    def why(self, branch: Branch) -> str:
        """The branch's reason; of a file that is given up because it killed its workers, what to do about that."""
        if not (branch.crashed and self.is_last):
            return branch.reason
        times = "once" if self.crashes == 0 else f"{self.crashes + 1} times"
        return (
            f"It crashed its worker {times}, at last alone in its batch ({branch.reason}). It may need more memory or "
            "time than the function has: split the file, or raise MemorySize of BeginLoad and IndexBatch (for Parquet, "
            "of WorkParquet) in template.yaml, which makes them faster, too. Then put it again, or `penstock retry` it."
        )


def undecided(told: Told) -> bool:
    """The ledger should have a row of it and has none."""
    return told.dataset.table is not None and told.load is None


def decide(told: Told) -> Decision:
    decision = _decided(told)
    return _with_less(told, decision) if told.dies_settling else decision


def _decided(told: Told) -> Decision:
    if told.dataset.table is None:
        return _by_index(told)
    if told.load is None:
        reason = told.why(told.warehouse) or "The load ended and the load ledger has no row of this file."
        return Decision(Settlement.FAILED if told.is_last else Settlement.PUT_BACK, reason)
    return _by_ledger(told, told.load)


def _with_less(told: Told, decision: Decision) -> Decision:
    """The same end without what reads the file or all its rejects once more: that is what a settling dies of."""
    if decision.duplicate or decision.settlement is Settlement.PUT_BACK:
        return decision
    died = f"{told.unsettled} runs in a row that had only to settle it have ended before they did"
    if decision.settlement is Settlement.FAILED:
        return replace(decision, reason=f"{decision.reason} ({died}: its rejects are in penstock.reject alone)")
    return Decision(
        Settlement.FAILED,
        f"{_INCOMPLETE}{died}. Nor are its rejects beside it. It may need more memory or time than the function has: "
        "raise MemorySize of SettleBatch in template.yaml, which makes it faster, too, then `penstock retry` it.",
    )


def _by_ledger(told: Told, load: LoadOutcome) -> Decision:
    indexed = told.dataset.index is not None
    if load.verdict is Verdict.QUARANTINED:
        return Decision(Settlement.FAILED, load.reason, Documents.DELETE if indexed else Documents.LEAVE)
    if load.verdict is Verdict.DUPLICATE:
        return Decision(
            Settlement.PROCESSED,
            "The same content was loaded under this key before: nothing was added.",
            Documents.DELETE if indexed else Documents.LEAVE,
            duplicate=True,
        )
    if not indexed:
        return Decision(Settlement.PROCESSED)
    trouble = _search_trouble(told)
    if not trouble:
        return Decision(Settlement.PROCESSED, _unindexed(told, load), Documents.CONVERGE)
    if told.is_last:
        return Decision(Settlement.FAILED, f"{_INCOMPLETE}{trouble}")
    return Decision(Settlement.PUT_BACK, trouble)


def _by_index(told: Told) -> Decision:
    if told.search.reason or told.indexed is None:
        if told.is_last:
            return Decision(Settlement.FAILED, _search_trouble(told), Documents.DELETE)
        return Decision(Settlement.PUT_BACK, _search_trouble(told))
    if told.indexed.reason:
        return Decision(Settlement.FAILED, told.indexed.reason, Documents.DELETE)
    rejected, total = told.indexed.rejected, told.indexed.rejected + told.indexed.documents
    allowed = told.dataset.rejects_allowed(total)
    if rejected > allowed:
        first = min(told.indexed.rejects, key=lambda reject: reject.line)
        reason = too_many_rejects(rejected, total, allowed, first)
        return Decision(Settlement.FAILED, reason, Documents.DELETE)
    return Decision(Settlement.PROCESSED)


def _search_trouble(told: Told) -> str:
    if told.search.reason:
        return told.why(told.search)
    if told.indexed is None:
        return "The search branch ended and said nothing of this file."
    return told.indexed.reason


def _unindexed(told: Told, load: LoadOutcome) -> str:
    """Rows that are in the table and in no document: worth a word, and no reason to hold the file up."""
    beyond = (told.indexed.rejected if told.indexed else 0) - load.rejects
    return f"{beyond} loaded rows could not be indexed: see its rejects." if beyond > 0 else ""


def wait_after(attempts: int) -> timedelta:
    """How long an arrival that was put back `attempts` times before waits: 30 s, 1 min, 2 min … 1 h."""
    doubled: int = 2 ** min(attempts, 10)
    return min(_FIRST_WAIT * doubled, LONGEST_WAIT)


def not_before(now: datetime, attempts: int) -> datetime:
    return now + wait_after(attempts)


def unclaimed_reason(arrival: Arrival, prefixes: Iterable[str]) -> str:
    known = ", ".join(f"{INCOMING}{prefix}" for prefix in sorted(prefixes)) or "none"
    return (
        f"No dataset claims {arrival.key}. The prefixes that exist: {known}. Put the file below one of them, or add a "
        "dataset with its prefix and deploy, then put the file again."
    )


def shortened(text: str) -> str:
    return text if len(text) <= _MAX_REASON else f"{text[: _MAX_REASON - 1]}…"
