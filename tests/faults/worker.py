"""Inside a Lambda worker of the tests' deployment: records every call that leaves the process, and breaks one of them.

Every call of boto3, psycopg and OpenSearch's client goes through here, so that the points are found and not listed. A
deployment's functions are wrapped by `install`; Penstock itself knows nothing of it. `folder` is how campaign and
workers talk: `armed.json` holds the fault to be made, `clock` the seconds by which Penstock's clock is ahead, `points`
what was recorded, `poison` a file that kills each worker of a function who opens it or writes its rejects, `busy` a
file for each invocation that goes on.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
from tests.faults.kinds import HELD, Fault

Lost = Callable[[], BaseException]
_HELD_SECONDS = 9.0
"""At most: shorter than a function's timeout."""


class _Tape:
    """The invocation that goes on in this process; a worker has one at a time."""

    def __init__(self, folder: Path, function: str) -> None:
        self._folder = folder
        self._function = function
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()
        self._armed: dict[str, Any] | None = None

    def begin(self) -> None:
        self._seen.clear()
        self._armed = self._read()

    def _read(self) -> dict[str, Any] | None:
        try:
            armed: dict[str, Any] = json.loads((self._folder / "armed.json").read_text())
        except FileNotFoundError:
            return None
        return armed if armed["function"] == self._function else None

    def due(self, call: str) -> dict[str, Any] | None:
        """Records the call; the fault that is to be made of it, if one is."""
        with self._lock:
            nth = self._seen[call]
            self._seen[call] += 1
        self._record(f"{json.dumps([self._function, call, nth])}\n".encode())
        armed = self._armed
        if armed is None or (armed["call"], armed["nth"]) != (call, nth):
            return None
        marker = self._folder / f"made-{armed['case']}"
        if armed["fault"] == Fault.FAIL_ALWAYS:
            if self._read() != armed:
                return None  # It has healed.
            marker.touch()
            return armed
        try:
            marker.touch(exist_ok=False)  # Once, among all workers.
        except FileExistsError:
            return None
        return armed

    def open_file(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            if (self._folder / "poison").read_text() == f"{self._function} {key}":
                with (self._folder / "poisoned").open("a") as killed:
                    killed.write("x")
                _die()

    def _record(self, line: bytes) -> None:
        try:
            points = os.open(self._folder / "points", os.O_WRONLY | os.O_APPEND)  # Several workers write to it.
        except FileNotFoundError:
            return
        os.write(points, line)
        os.close(points)

    def through(self, call: str, perform: Callable[[], Any], fail: Callable[[], Any], lose: Callable[[], Any]) -> Any:
        """`fail` raises and does not do it; `lose` raises what the caller sees when the answer got lost."""
        armed = self.due(call)
        if armed is None:
            return perform()
        match armed["fault"]:
            case Fault.KILL_BEFORE:
                _die()
            case Fault.KILL_AFTER:
                perform()
                _die()
            case Fault.FAIL_ONCE | Fault.FAIL_ALWAYS:
                return fail()
            case Fault.TWICE:
                perform()
            case Fault.DELAY:
                time.sleep(armed["seconds"])
            case Fault.LOSE_REPLY:
                perform()
                return lose()
            case fault if fault in HELD:
                self._hold(armed["case"])
        return perform()

    def _hold(self, case: str) -> None:
        deadline = time.monotonic() + _HELD_SECONDS
        while not (self._folder / f"released-{case}").exists() and time.monotonic() < deadline:
            time.sleep(0.01)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raising(error: Lost) -> Callable[[], Any]:
    def fail() -> Any:
        raise error()

    return fail


def install(folder: str, function: str, app: str) -> Callable[[Any, Any], Any]:
    """The handler of `app`, its calls recorded."""
    home = Path(folder)
    tape = _Tape(home, function)
    _wrap_boto(tape)
    _wrap_psycopg(tape)
    _wrap_search(tape)
    _set_clock(home)
    _make_parts_small()
    spec = importlib.util.spec_from_file_location("penstock_app", app)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def handling(event: Any, context: Any) -> Any:
        from penstock import wiring

        busy = home / "busy" / _identity(os.getpid())
        busy.touch()
        tape.begin()
        wiring.forget_connections()  # Each invocation is the first of its worker: the secret, the connection.
        _set_threshold(home)
        try:
            return tape.through("invocation", lambda: module.handler(event, context), _die, _die)
        finally:
            busy.unlink(missing_ok=True)

    return handling


def _set_clock(folder: Path) -> None:
    from penstock.adapters.clock import SystemClock

    def now(_: Any) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float((folder / "clock").read_text()))

    setattr(SystemClock, "now", now)  # noqa: B010 - mypy takes no assignment to a method


def _make_parts_small() -> None:
    """Before the planner is imported, which reads them then."""
    from penstock.model import backfills

    backfills.PART_BATCHES, backfills.PLAN_BATCHES = 2, 1


def _set_threshold(folder: Path) -> None:
    """From how many files on a listing starts a backfill: a parameter of the template, and each case's own."""
    from penstock import wiring

    with contextlib.suppress(FileNotFoundError):
        os.environ["PENSTOCK_BACKFILL_THRESHOLD_FILES"] = (folder / "threshold").read_text()
        wiring.settings.cache_clear()
        wiring.limits.cache_clear()


def _wrap_boto(tape: _Tape) -> None:
    from botocore.client import BaseClient
    from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
    from botocore.response import StreamingBody

    call_api, read = getattr(BaseClient, "_make_api_call"), StreamingBody.read  # noqa: B009 - its stubs leave it out

    @functools.wraps(call_api)
    def calling(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        reads = operation == "GetObject" and parameters["Key"].startswith("incoming/")
        if reads or (operation == "PutObject" and parameters["Key"].endswith(".rejects.jsonl")):
            tape.open_file(parameters["Key"])
        return tape.through(
            _aws_call(self.meta.service_model.service_name, operation, parameters),
            lambda: call_api(self, operation, parameters),
            _raising(lambda: EndpointConnectionError(endpoint_url=self.meta.endpoint_url)),
            _raising(lambda: ReadTimeoutError(endpoint_url=self.meta.endpoint_url)),
        )

    @functools.wraps(read)
    def reading(self: Any, amt: int | None = None) -> Any:
        lost = _raising(lambda: ReadTimeoutError(endpoint_url="http://s3"))
        return tape.through("s3 body", lambda: read(self, amt), lost, lost)

    setattr(BaseClient, "_make_api_call", calling)  # noqa: B010 - its stubs leave it out
    setattr(StreamingBody, "read", reading)  # noqa: B010 - mypy takes no assignment to a method


def _aws_call(service: str, operation: str, parameters: dict[str, Any]) -> str:
    key = str(parameters.get("Key", "")) if service == "s3" else ""
    if key.startswith("plans/copies/"):  # What Redshift's COPY reads, by arrival and by id.
        key = re.sub(r"[0-9]+", "n", re.sub(r"[0-9a-f]{32}", "id", key))
    elif key.startswith("plans/"):
        key = "plans/" + re.sub(r"[0-9]+", "n", key.split("/", 2)[-1])
    elif key:
        key = key.partition("/")[0] + "/" + (".rejects.jsonl" if key.endswith(".rejects.jsonl") else "")
        key += ".reason.json" if str(parameters["Key"]).endswith(".reason.json") else ""
    return f"{service} {operation} {key}".strip()


def _wrap_psycopg(tape: _Tape) -> None:
    import psycopg
    from psycopg.copy import Copy
    from psycopg.transaction import Transaction

    def cut(connection: Any) -> None:
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.pgconn.socket)) as wire:
            wire.shutdown(socket.SHUT_RDWR)

    def through(call: str, connection: Any, perform: Callable[[], Any]) -> Any:
        def fail() -> Any:
            cut(connection)
            return perform()  # libpq says what it says of a connection that is gone.

        def lose() -> Any:
            cut(connection)
            raise psycopg.OperationalError("server closed the connection unexpectedly")

        return tape.through(f"postgres {call}", perform, fail, lose)

    connect = psycopg.connect

    def connecting(*args: Any, **kwargs: Any) -> Any:
        refused = _raising(lambda: psycopg.OperationalError("connection refused"))
        return tape.through("postgres connect", lambda: connect(*args, **kwargs), refused, refused)

    psycopg.connect = connecting

    def wrap(cls: Any, name: str, label: Callable[..., str], connection_of: Callable[[Any], Any]) -> None:
        original = getattr(cls, name)

        @functools.wraps(original)
        def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            perform = functools.partial(original, self, *args, **kwargs)
            return through(label(self, *args), connection_of(self), perform)

        setattr(cls, name, wrapped)

    def statement(cursor: Any, query: Any, *_: Any) -> str:
        if isinstance(query, bytes):
            query = query.decode()
        text = query if isinstance(query, str) else query.as_string(cursor.connection)
        words = [word for word in text.split() if not word.startswith(("(", "'"))]
        return re.sub(r"\(.*", "", " ".join(words[:3]))

    def entering(transaction: Any) -> str:
        open_ = transaction.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
        return "SAVEPOINT" if open_ else "BEGIN"

    def leaving(transaction: Any, kind: Any, *_: Any) -> str:
        inner = "savepoint" if transaction.savepoint_name else "transaction"
        return f"{'roll back' if kind else 'commit'} {inner}"

    wrap(psycopg.Cursor, "execute", statement, lambda cursor: cursor.connection)
    wrap(psycopg.Cursor, "executemany", statement, lambda cursor: cursor.connection)
    wrap(Copy, "write", lambda *_: "COPY data", lambda copy: copy.connection)
    wrap(Copy, "__exit__", lambda *_: "COPY end", lambda copy: copy.connection)
    wrap(Transaction, "__enter__", entering, lambda transaction: transaction.connection)
    wrap(Transaction, "__exit__", leaving, lambda transaction: transaction.connection)


def _wrap_search(tape: _Tape) -> None:
    from opensearchpy.exceptions import ConnectionError as RefusedError
    from opensearchpy.exceptions import ConnectionTimeout
    from opensearchpy.transport import Transport

    perform_request = Transport.perform_request

    @functools.wraps(perform_request)
    def performing(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        return tape.through(
            f"search {method} {url.rpartition('/')[2]}",
            lambda: perform_request(self, method, url, *args, **kwargs),
            _raising(lambda: RefusedError("N/A", "refused", ConnectionRefusedError())),
            _raising(lambda: ConnectionTimeout("TIMEOUT", "timed out", TimeoutError())),
        )

    setattr(Transport, "perform_request", performing)  # noqa: B010 - mypy takes no assignment to a method


def _identity(pid: int) -> str:
    """The process, and no later one of the same id; empty when it is gone."""
    try:
        return f"{pid}-{psutil.Process(pid).create_time()}"
    except psutil.Error:
        return ""


def busy(folder: Path) -> Iterator[int]:
    """Ids of the processes in which an invocation goes on; one that was killed is none."""
    for found in (folder / "busy").iterdir():
        pid = int(found.name.partition("-")[0])
        if _identity(pid) == found.name:
            yield pid
        else:
            found.unlink(missing_ok=True)
