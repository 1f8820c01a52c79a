"""Which of the two roots a psycopg error is, and what an operator reads of it.

PostgreSQL's own text is taken from its primary message alone: DETAIL and CONTEXT quote rows ("Failing row contains …",
"COPY flights, line 3, column dep_delay: …"), and so does the exception's own text: nothing is raised `from` it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from penstock.model.errors import WAREHOUSE, DestinationDownError, PenstockError, PermanentError, TransientError

_TRANSIENT_CLASSES = ("08", "40", "53", "57", "58")
"""Connection, transaction rollback (deadlock, serialization), insufficient resources, operator intervention (as a
shutdown), system error. https://www.postgresql.org/docs/current/errcodes-appendix.html"""

_DOWN = ("28", "53100", "53300", "57P03", "25006")
"""Nobody is let in (a secret that was rotated, too many connections, starting up or shutting down), or nobody can write
(a full disk, a standby). Not "connection lost", which a file may cause by crashing its backend: the next attempt to
connect tells."""

_TRANSIENT_STATES = {
    "25P03": "it waited too long for the next statement",
    "25P04": "it took longer than the transaction may",
    "55P03": "a lock was not free in time; another load of the same files may hold it",
    "57014": "it took longer than a statement may",
}

_ADVICE = {
    "28": "Look at the user and password in the warehouse's secret",
    "3D": "Look at dbname in the warehouse's secret",
    "3F": "Run `penstock apply`, which creates what is missing",
    "42501": "Run `penstock apply` as the owner of the table: it grants what the loader needs",
    "42703": "The table is not as the dataset says: run `penstock apply`",
    "42804": "The table is not as the dataset says: run `penstock apply`",
    "42P01": "Run `penstock apply`, which creates what is missing",
    "42883": "Run `penstock apply`, which creates what is missing",
}

_UNTRUSTED = (
    "Its certificate is not trusted, or is another host's. RDS and Aurora without a proxy have a CA of AWS's own: put "
    "its bundle beside the datasets as warehouse-ca.pem, or into the secret as sslrootcert"
)

_ROW_FAULTS = ("22", "23", "44", "54", "P0001")
"""Data exceptions, constraints, views with a check, limits of the engine, and what a trigger of the table raises."""


def is_row_fault(error: psycopg.Error) -> bool:
    """True where a row of the file is to blame, and neither the server nor the table."""
    return error.sqlstate is not None and error.sqlstate.startswith(_ROW_FAULTS)


def words(error: psycopg.Error) -> str:
    """PostgreSQL's primary message; of a row's fault without what it quotes from the row."""
    text = error.diag.message_primary or str(error).partition("\n")[0] or type(error).__name__
    return without_values(text) if (error.sqlstate or "").startswith("22") else text


def without_values(message: str) -> str:
    """A data exception's text less the value it quotes: `invalid input syntax for type smallint`."""
    message = re.sub(r'^"(.*)" is ', "value is ", message, flags=re.DOTALL)
    return re.sub(r':? *"(.*)"', "", message, flags=re.DOTALL)


def root_of(error: psycopg.Error, doing: str, dataset: str = "") -> PenstockError:
    """The error to raise; `doing` is what was attempted, as in `load batch 3 of dataset flights`.

    With `dataset` no row of a file was at work: what is refused is refused to every file of the dataset.
    """
    state = error.sqlstate
    if state is not None and state.startswith(_DOWN):
        return down(error, doing)
    if state is None:
        if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
            return TransientError(
                f"the warehouse could not {doing}: {words(error)}. Nothing of it was kept and it can be tried again; "
                "if that goes on, look whether the server is up and the secret and security groups are right"
            )
        return PermanentError(f"the warehouse could not {doing}: {words(error)}")
    if why := _TRANSIENT_STATES.get(state):
        return TransientError(f"the warehouse could not {doing}: {why} ({state}). Nothing of it was kept; try again")
    if state.startswith(_TRANSIENT_CLASSES):
        return TransientError(
            f"the warehouse could not {doing}: {words(error)} ({state}). Nothing of it was kept; try again"
        )
    if dataset and not is_row_fault(error):
        return down(error, doing, dataset)
    advice = _ADVICE.get(state) or _ADVICE.get(state[:2])
    return PermanentError(
        f"the warehouse could not {doing}: {words(error)} ({state})" + (f". {advice}" if advice else "")
    )


def down(error: psycopg.Error, doing: str, dataset: str = "") -> DestinationDownError:
    """The server as a whole, or what it has for the dataset, is at fault: nobody can connect, or nobody can write."""
    code = error.sqlstate or ""
    state = f" ({code})" if code else ""
    advice = (
        (_UNTRUSTED if "certificate" in str(error) else "")
        or _ADVICE.get(code)
        or _ADVICE.get(code[:2])
        or (
            "Look whether the server is up, has room on its disk and connections left, and lets this role in with the "
            "secret's password from the functions' security groups"
        )
    )
    reason = f"it could not {doing}: {words(error)}{state}. Nothing of it was kept. {advice}"
    return DestinationDownError(WAREHOUSE, reason, dataset)


@contextmanager
def translated(doing: str, dataset: str = "") -> Iterator[None]:
    """Lets no exception of psycopg's own through; `doing` and `dataset` as in `root_of`."""
    try:
        yield
    except psycopg.Error as error:
        raise root_of(error, doing, dataset) from None
