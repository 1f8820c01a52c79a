"""Statements as the Data API keeps them: submitted, run by a thread each, asked after, remembered by their token."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
import sqlglot
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlglot import exp

from penstock.local.redshift.catalogue import CATALOGUE, SCHEMA
from penstock.local.redshift.copy_files import BadRow, Copy, CopyError, LoadError, Objects, run_copy

DATABASE = "redshift"


def prepare(superuser: str, owner: str = "penstock_owner") -> str:
    """Makes the database that stands in for Redshift's, once; the superuser's connection string to it."""
    conninfo = make_conninfo(superuser, dbname=DATABASE)
    with psycopg.connect(superuser, autocommit=True) as connection:
        there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
        if not there:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(owner))
            )
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(CATALOGUE)
        connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(owner)))
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET search_path TO public, {}").format(
                sql.Identifier(DATABASE), sql.Identifier(SCHEMA)
            )
        )
    return conninfo


@dataclass(slots=True)
class Part:
    """One statement of a batch."""

    sql: str
    status: str = "SUBMITTED"
    error: str = ""
    rows: list[tuple[Any, ...]] | None = None
    columns: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Statement:
    id: str
    parts: list[Part]
    batch: bool
    user: str
    status: str = "SUBMITTED"
    error: str = ""
    created: float = field(default_factory=time.time)
    ended: threading.Event = field(default_factory=threading.Event)
    connection: psycopg.Connection[Any] | None = None
    cancelled: bool = False


class Statements:
    """`conninfo` is what `prepare` has answered; each statement runs as the database user that its request names, or as
    `user`. `objects` reads S3. `before` is called with each statement before it runs: a test may wait there.
    """

    def __init__(
        self,
        conninfo: str,
        objects: Objects,
        user: str = "penstock_loader",
        before: Callable[[Statement], None] | None = None,
    ) -> None:
        self._conninfo = conninfo
        self._objects = objects
        self._user = user
        self._before = before
        self._lock = threading.Lock()
        self._statements: dict[str, Statement] = {}
        self._tokens: dict[str, str] = {}

    def submit(self, texts: Sequence[str], token: str, user: str, *, batch: bool) -> Statement:
        with self._lock:
            if token in self._tokens:
                return self._statements[self._tokens[token]]
            statement = Statement(str(uuid.uuid4()), [Part(text) for text in texts], batch, user or self._user)
            self._statements[statement.id] = statement
            self._tokens[token] = statement.id
        threading.Thread(target=self._run, args=(statement,), name=statement.id, daemon=True).start()
        return statement

    def get(self, id_: str) -> Statement:
        """KeyError where there is none."""
        return self._statements[id_.partition(":")[0]]

    def cancel(self, statement: Statement) -> bool:
        if statement.ended.is_set():
            return False
        statement.cancelled = True
        connection = statement.connection
        if connection is not None:
            connection.cancel_safe()
        return True

    def abort(self) -> None:
        """All that have not ended."""
        for statement in list(self._statements.values()):
            self.cancel(statement)

    def _run(self, statement: Statement) -> None:
        try:
            if self._before:
                self._before(statement)
            with psycopg.connect(self._conninfo, user=statement.user) as connection:
                statement.connection = connection
                statement.status = "STARTED"
                if statement.cancelled:
                    raise CopyError("Query cancelled on user's request")
                for part in statement.parts:
                    self._run_part(connection, part)
            statement.status = "FINISHED"
        except (psycopg.Error, CopyError, LoadError) as error:
            self._failed(statement, error)
        finally:
            statement.connection = None
            statement.ended.set()

    def _run_part(self, connection: psycopg.Connection[Any], part: Part) -> None:
        part.status = "STARTED"
        if part.sql.lstrip().upper().startswith("COPY "):
            parsed = sqlglot.parse_one(part.sql, read="redshift")
            if not isinstance(parsed, exp.Copy):
                raise CopyError("syntax error in COPY")
            self._copy(connection, Copy.of(parsed))
        else:
            # PostgreSQL has roles for users, and no word ROLE behind TO.
            text = part.sql.replace(" TO ROLE ", " TO ") if part.sql.startswith("GRANT ") else part.sql
            # And a VARCHAR without its length has none, where Redshift's has 256 bytes.
            text = text.replace(" AS VARCHAR)", " AS VARCHAR(256))")
            cursor = connection.execute(text.encode())
            if cursor.description:
                part.columns = [column.name for column in cursor.description]
                part.rows = cursor.fetchall()
        part.status = "FINISHED"

    def _copy(self, connection: psycopg.Connection[Any], copy: Copy) -> None:
        with psycopg.connect(self._conninfo, autocommit=True) as system:  # What it writes outlives a rollback.
            found = system.execute("SELECT nextval('query_ids')").fetchone()
            query = found[0] if found else 0
            try:
                read = run_copy(connection, copy, self._objects)
            except LoadError as error:
                _keep(system, query, error.bad)
                raise CopyError(
                    f"Load into table {copy.table} failed.  Check 'sys_load_error_detail' system table for details."
                ) from error
            for uri, lines in read:
                system.execute("INSERT INTO sys_load_detail VALUES (%s, %s, %s, getdate())", (query, uri[:256], lines))

    def _failed(self, statement: Statement, error: Exception) -> None:
        status = "ABORTED" if statement.cancelled else "FAILED"
        message = str(error).partition("\n")[0]
        # Who is not let in reads the server's own words behind the driver's.
        severity = "FATAL" if statement.connection is None else "ERROR"
        statement.status, statement.error = status, f"{severity}: {message.rpartition('FATAL:  ')[2]}"
        for part in statement.parts:
            if part.status == "STARTED":
                part.status, part.error = status, statement.error
            elif part.status == "SUBMITTED":
                part.status = "ABORTED"


def _keep(system: psycopg.Connection[Any], query: int, bad: BadRow) -> None:
    system.execute(
        "INSERT INTO sys_load_error_detail (query_id, start_time, file_name, line_number, column_name, error_code,"
        " error_message) VALUES (%s, getdate(), %s, %s, %s, %s, %s)",
        (query, bad.file[:256], bad.line, bad.column[:127], bad.code, bad.message[:512]),
    )
