"""One connection per process, kept between invocations, and the transaction that everything of a batch shares."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from penstock.adapters.postgres.errors import down, translated
from penstock.model.errors import TransientError

Connection = psycopg.Connection[TupleRow]

_DEFAULTS = {
    "application_name": "penstock",
    "connect_timeout": "10",
    "client_encoding": "UTF8",
    # A host that is gone answers nothing, and Linux takes 15 minutes to give it up: all the time that a function has.
    # Three is longer than a COPY may stand still, as behind a lock: meanwhile the server takes nothing either.
    "tcp_user_timeout": "180000",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
}
"""What `conninfo` may say otherwise."""

_VANISHED = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}
"""The server's side of it. A COPY that waits for a client obeys no statement_timeout, so it is keepalives that end the
transaction of a Lambda that is gone, and free the ledger rows that its successor waits for."""

_DURABLE = "synchronous_commit"
"""Where it is off, a server that crashes forgets what it has said to be committed, and whose files have been moved by
then. All its other values are of standbys, and are left."""

_BY_INDEX = {"enable_seqscan": "off", "enable_bitmapscan": "off"}
"""Statistics are of yesterday's rows: a table that has grown since is taken for one that is quickly read whole."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. `whole` ends a batch's transaction before its Task's 900 s do, so that it says why."""

    whole: float = 840
    lock: float = 60
    idle: float = 120


@dataclass(frozen=True, slots=True)
class Session:
    """An open transaction and the time it has to end by, on the monotonic clock."""

    connection: Connection
    deadline: float

    def check(self) -> float:
        """The seconds that are left of it; TransientError when none are."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TransientError(
                "the batch took longer than its transaction may and was rolled back. It is tried again; if that goes "
                "on, give the dataset smaller batches (batch: max_files, max_bytes) or the warehouse more room"
            )
        return left

    def plans_freely(self) -> None:
        """From here on as PostgreSQL sees fit, as for what reads the datasets' tables."""
        _set(self.connection, dict.fromkeys(_BY_INDEX, "on"))


class Connections:
    """Opened at first use, checked at each, opened anew when it is gone. Threads take turns.

    `conninfo` may be what asks for it: it is called for each connection, and what it raises is raised.
    """

    def __init__(self, conninfo: str | Callable[[], str], limits: Limits) -> None:
        self._conninfo = conninfo
        self._limits = limits
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self, doing: str, dataset: str = "", *, by_index: bool = False) -> Iterator[Session]:
        """Commits at the end, rolls back on any exception. `doing` is for errors to name, as in `read the ledger`.

        With `dataset`, what is refused for good in it says that the warehouse is down for that dataset. With `by_index`
        no table is read whole where an index leads to the rows, until `Session.plans_freely`.
        """
        with self._lock, translated(doing, dataset):
            connection = self._ready(doing)
            with connection.transaction():
                self._begin(connection, by_index)
                yield Session(connection, time.monotonic() + self._limits.whole)

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _ready(self, doing: str) -> Connection:
        if self._connection is not None:
            try:
                self._connection.execute("SELECT 1")
            except psycopg.Error:
                self._connection.close()  # A failover, or a proxy that ended an idle client: not worth an attempt.
            else:
                return self._connection
        try:
            self._connection = self._connect()
        except psycopg.OperationalError as error:
            raise down(error, doing) from None
        return self._connection

    def _connect(self) -> Connection:
        asked = self._asked()
        try:
            return _connected(asked)
        except psycopg.errors.ConnectionTimeout:
            raise  # Nobody is there, whatever the password.
        except psycopg.OperationalError:
            anew = self._asked()
            if anew == asked:
                raise
            return _connected(anew)  # The password was rotated between our reading it and the server's checking it.

    def _asked(self) -> str:
        return self._conninfo if isinstance(self._conninfo, str) else self._conninfo()

    def _begin(self, connection: Connection, by_index: bool) -> None:
        """What a file means must not depend on the role's or the database's settings."""
        _set(
            connection,
            {
                "TimeZone": "UTC",
                "DateStyle": "ISO, YMD",
                "timezone_abbreviations": "Default",
                "lock_timeout": milliseconds(self._limits.lock),
                "idle_in_transaction_session_timeout": milliseconds(self._limits.idle),
                "statement_timeout": milliseconds(self._limits.whole),
                _DURABLE: "on",
                **(_BY_INDEX if by_index else {}),
            },
        )
        # A deferred constraint would fail the commit, and with it the file's neighbours.
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")


def _connected(conninfo: str) -> Connection:
    parameters = make_conninfo("", **{**_DEFAULTS, **conninfo_to_dict(conninfo)})
    # No prepared statements: a pooler between us would have to pin its server connection for them.
    connection = psycopg.connect(parameters, autocommit=True, prepare_threshold=None)
    _set(connection, _VANISHED, local=False)
    return connection


def _set(connection: Connection, settings: dict[str, str], *, local: bool = True) -> None:
    connection.execute(
        "SELECT set_config(name, value, %s) FROM unnest(%s::text[], %s::text[]) AS setting(name, value)"
        " WHERE name <> %s OR current_setting(name) = 'off'",
        (local, list(settings), list(settings.values()), _DURABLE),
    )


def milliseconds(seconds: float) -> str:
    return str(max(1, int(seconds * 1000)))
