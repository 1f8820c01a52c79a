"""What says that Redshift is down, paused, full, or lets nobody in; and what is one statement's own fault.

The API refuses a request by an error's code, and most codes stand for several causes: ValidationException is a cluster
that is paused as well as a statement that is too long. So what Penstock could do wrong is looked for before it asks,
and whoever is refused to submit a statement is refused to submit any. What ended a statement that was taken is told in
words alone: PostgreSQL's severity, or, where the database was never reached, somebody else's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from botocore.exceptions import ClientError, ParamValidationError

from penstock.adapters.aws_errors import code_of, translated
from penstock.model.errors import WAREHOUSE, DestinationDownError, PenstockError, PermanentError

MAX_STATEMENTS = 40
"""What one BatchExecuteStatement takes, and runs as one transaction."""

_MAX_BYTES = 100_000
"""Of one statement."""

OF_ONE_STATEMENT = frozenset(
    {
        "ActiveWaitingRequestsExceededException",
        "QueryTimeoutException",
        "ResourceNotFoundException",
        "ValidationException",
    }
)
"""Of a statement that is asked after, and not of one that is submitted: its id is not known, or it has no rows."""

_ENDED_BY_AN_OUTAGE = re.compile(
    r"(ERROR:\s*)?(FATAL|PANIC)\b"
    r"|(?!ERROR:).*\b(connect|connection|cluster|workgroup|endpoint|secret|credentials?)\b"
    r"|ERROR:\s*(disk full|[\w ]*\bread[- ]only\b)",
    re.IGNORECASE | re.DOTALL,
)
"""From the first word on: what a row holds is quoted behind ERROR:, and must not look like an outage."""

_CONFLICT = re.compile(
    r"(ERROR:\s*)?(1023\b|\w+ isolation violation|could not serialize|deadlock detected)", re.IGNORECASE
)
"""From the first word on, as above."""

_WATCH = (
    "Look whether the workgroup or cluster is there, is not paused or being resized, has connections left, and whether "
    "the secret's user may come in. Penstock tries it again by itself"
)
_ADVICE = {
    "AccessDeniedException": "See that the function's role may call the Data API there and read the warehouse's secret",
    "ActiveSessionsExceededException": "It is full: fewer at once are MaxBatchesAtWork. Penstock tries it again",
    "ActiveStatementsExceededException": "It is full: fewer at once are MaxBatchesAtWork. Penstock tries it again",
    "ThrottlingException": "Too many ask it at once. Penstock tries it again by itself",
}


def is_outage(status: str, error: str) -> bool:
    """Whether what ended a statement was not its own fault. A resize, a restart and an administrator abort it."""
    return status == "ABORTED" or (status == "FAILED" and _ENDED_BY_AN_OUTAGE.match(error) is not None)


def is_conflict(error: str) -> bool:
    """Whether it was undone for another transaction's sake. Loads of other tables write the same ledger, and where the
    database's isolation level is SERIALIZABLE, as a cluster's may be, Redshift undoes one of two that overlap.
    """
    return _CONFLICT.match(error) is not None


def down(reason: str, code: str = "") -> DestinationDownError:
    return DestinationDownError(WAREHOUSE, f"{reason}. Nothing of it was kept. {_ADVICE.get(code, _WATCH)}")


def check(statements: Sequence[str], doing: str) -> None:
    """Raises PermanentError for what the API would not take of anybody."""
    if len(statements) > MAX_STATEMENTS:
        raise PermanentError(f"Redshift can't {doing}: in {len(statements)} statements, and at most 40 are one batch")
    if any(len(statement.encode()) > _MAX_BYTES for statement in statements):
        raise PermanentError(f"Redshift can't {doing}: a statement is longer than {_MAX_BYTES:,} bytes")


@contextmanager
def asking(doing: str, own: frozenset[str] = frozenset()) -> Iterator[None]:
    """Raises DestinationDownError for whatever the API refuses, after the SDK's own tries, but for the codes `own`."""
    try:
        with translated(doing):
            yield
    except PenstockError as refused:
        cause = refused.__cause__
        code = code_of(cause) if isinstance(cause, ClientError) else ""
        if code in own or isinstance(cause, ParamValidationError):
            raise
        said = cause.response["Error"].get("Message", "") if isinstance(cause, ClientError) else type(cause).__name__
        words = " ".join(f"{code} {said}".split())[:500].rstrip(".")
        raise down(f"it could not {doing}: {words}", code) from cause
