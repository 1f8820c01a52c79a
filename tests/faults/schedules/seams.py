"""The ports as a step sees them: before each call another task may run, and the call itself may go wrong."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from enum import IntEnum
from functools import partial
from itertools import islice
from typing import Any, Self

from tests.fakes.crashing import Crash
from tests.fakes.object_store import FakeObjectStore
from tests.faults.schedules.scheduler import Scheduler

from penstock.model.arrivals import Arrival
from penstock.model.errors import SEARCH, WAREHOUSE, DestinationDownError, TransientError
from penstock.model.outcomes import IndexOutcome
from penstock.model.streams import ByteStream
from penstock.ports import Attempt, Document, Move, SearchIndex


class Fault(IntEnum):
    NONE = 0
    KILLED_BEFORE = 1
    KILLED_AFTER = 2
    FAILS_ONCE = 3
    REPLY_LOST = 4
    DONE_TWICE = 5
    DELAYED = 6
    GIVEN_UP_ON = 7
    """The caller is told that the invocation failed; the invocation goes on, later."""


DELAYS = (5.0, 150.0, 700.0)
"""Seconds: a hiccup, past the listing lease, almost a Lambda's life."""


class Seam:
    """Every call of every port goes through `call`. `faults` are left to be had; `down` says until when who is out."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.faults = 0
        self.harmless = 1.0
        self.happened = 0
        self.given_up = 0
        self.down: dict[str, float] = {}
        self.before: Callable[[str], None] = lambda _: None
        """A test's own: called in the step that is about to make a call, with the call's name."""

    def call(self, name: str, function: Callable[[], Any]) -> Any:
        scheduler = self.scheduler
        scheduler.breathe()
        self.before(name)
        fault = self._fault(name)
        if fault is Fault.NONE:
            return self._done(name, function)
        task = scheduler.current
        assert task is not None
        if fault in (Fault.DELAYED, Fault.GIVEN_UP_ON):
            if fault is Fault.GIVEN_UP_ON:
                self.given_up += 1
                scheduler.abandon(task)
            scheduler.sleep(DELAYS[scheduler.choices.draw(len(DELAYS))])
            return self._done(name, function)
        if fault is Fault.FAILS_ONCE:
            raise TransientError(f"{name} failed, as it was told to")
        if fault is Fault.KILLED_BEFORE:
            task.dead = True
            raise Crash
        result = self._done(name, function)
        if fault is Fault.DONE_TWICE and name != "store.arrivals":
            return self._done(name, function)
        if fault is Fault.REPLY_LOST:
            raise TransientError(f"the reply of {name} was lost")
        if fault is Fault.DONE_TWICE:
            return result  # A page is asked for by a token: asking twice gives it twice, and it is read once.
        task.dead = True
        raise Crash

    def die(self) -> None:
        """The worker is killed here."""
        assert self.scheduler.current is not None
        self.scheduler.note("the worker is killed by what it works")
        self.scheduler.current.dead = True
        raise Crash

    def through(self, port: Any, name: str) -> Any:
        return _Port(self, port, name)

    def _done(self, name: str, function: Callable[[], Any]) -> Any:
        if self.scheduler.now < self.down.get(name.partition(".")[0], 0.0):
            self.scheduler.note(f"{name}: down")
            destination = name.partition(".")[0]
            if destination in (WAREHOUSE, SEARCH):
                raise DestinationDownError(destination, "it was told to be")
            raise TransientError(f"{name} is throttled")
        if self.scheduler.trace is not None:
            self.scheduler.note(name)
        return function()

    def _fault(self, name: str) -> Fault:
        task = self.scheduler.current
        if not self.faults or task is None:
            return Fault.NONE
        fault = Fault(self.scheduler.choices.draw(len(Fault), harmless=self.harmless))
        if fault:
            self.faults -= 1
            self.happened += 1
            self.scheduler.note(f"FAULT {fault.name} at {name}")
        return fault


class _Port:
    def __init__(self, seam: Seam, port: Any, name: str) -> None:
        self._seam = seam
        self._port = port
        self._name = name

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        label = f"{self._name}.{name}"
        return lambda *args, **kwargs: self._seam.call(label, lambda: method(*args, **kwargs))


class SeamedStore:
    """Lists a page of two at a time; moves an arrival at a time, a copy before its delete; may lose a stream midway."""

    def __init__(self, seam: Seam, store: FakeObjectStore) -> None:
        self._seam = seam
        self._store = store
        self._rest = seam.through(store, "store")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rest, name)

    def arrivals(self, prefix: str, after: str = "") -> Iterator[Arrival]:
        found = self._store.arrivals(prefix, after)
        while page := self._seam.call("store.arrivals", lambda: list(islice(found, 2))):
            yield from page

    @contextmanager
    def open(self, arrival: Arrival) -> Iterator[ByteStream]:
        with self._seam.call("store.open", lambda: self._store.open(arrival)) as stream:
            data = stream.read(1 << 20)
        yield io.BytesIO(data)

    def move(self, moves: Sequence[Move]) -> Mapping[str, str]:
        for move in moves:
            self._seam.call("store.copy", partial(self._copy, move))
        refused: dict[str, str] = {}
        for move in moves:
            refused.update(self._seam.call("store.delete", partial(self._store.move, [move])))
        return refused

    def _copy(self, move: Move) -> None:
        if version := self._store._find(move.arrival):
            self._store._add(move.to, version.data, None)
        else:
            self._store.move([move])  # Says whether it was moved before.

    def put_lines(self, key: str, lines: Iterable[bytes]) -> None:
        whole = list(lines)
        self._seam.call("store.put_lines", lambda: self._store.put_lines(key, whole))

    def put_json(self, key: str, document: Any) -> None:
        self._seam.call(f"store.put_json {key}", lambda: self._store.put_json(key, document))


class SeamedLeases:
    """DynamoDB takes an arrival at a time."""

    def __init__(self, seam: Seam, leases: Any) -> None:
        self._seam = seam
        self._leases = leases
        self._rest = seam.through(leases, "leases")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rest, name)

    def put_back(self, attempts: Sequence[Attempt]) -> None:
        for attempt in attempts:
            self._seam.call("leases.put_back", partial(self._leases.put_back, [attempt]))

    def forget(self, arrivals: Sequence[str]) -> None:
        for arrival in arrivals:
            self._seam.call("leases.forget", partial(self._leases.forget, [arrival]))


class SeamedSearch:
    """A `_bulk` of one document each."""

    def __init__(self, seam: Seam, search: SearchIndex) -> None:
        self._seam = seam
        self._search = search
        self._rest = seam.through(search, "search")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rest, name)

    def write(self, index: str, documents: Iterable[Document]) -> IndexOutcome:
        total = IndexOutcome()
        for document in documents:
            one = self._seam.call("search.write", partial(self._search.write, index, [document]))
            total = IndexOutcome(
                total.documents + one.documents, (*total.rejects, *one.rejects), total.rejected + one.rejected
            )
        return total


class Inline:
    """A ThreadPoolExecutor without threads: in turn is one of the orders in which a pool may work."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, function: Callable[..., Any], *items: Iterable[Any]) -> Iterator[Any]:
        return iter([function(*given) for given in zip(*items, strict=False)])

    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it is the future's
            future.set_exception(error)
        return future

    def shutdown(self, *_args: Any, **_kwargs: Any) -> None: ...
