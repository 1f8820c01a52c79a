"""Opens a batch's small files before they are asked for: its loader takes one file after the other, and S3's first byte
takes tens of milliseconds, which is most of a small file's time.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from penstock.model.arrivals import Arrival
from penstock.model.streams import ByteStream
from penstock.ports import ObjectStore

_SMALL = 2**18
"""Bytes. A larger file's first byte is no great part of it, and it is not to be held in memory whole."""
_AHEAD = 8
"""Files that are read ahead, so two MiB at most."""


class ReadAhead:
    """`arrivals` are those that are expected to be opened, in that order. One that never is keeps its place."""

    def __init__(self, store: ObjectStore, arrivals: Sequence[Arrival], pool: ThreadPoolExecutor) -> None:
        self._store = store
        self._pool = pool
        self._next = deque(arrival for arrival in arrivals if arrival.size <= _SMALL)
        self._read: dict[str, Future[bytes]] = {}

    @contextmanager
    def open(self, arrival: Arrival) -> Iterator[ByteStream]:
        """As `ObjectStore.open`; what went wrong ahead is raised here. Opened again, a file is read again."""
        read = self._read.pop(arrival.id, None)
        if self._next and self._next[0] == arrival:
            self._next.popleft()
        while self._next and len(self._read) < _AHEAD:
            coming = self._next.popleft()
            self._read[coming.id] = self._pool.submit(self._all_of, coming)
        if read is None:
            with self._store.open(arrival) as stream:
                yield stream
        else:
            yield io.BytesIO(read.result())

    def _all_of(self, arrival: Arrival) -> bytes:
        with self._store.open(arrival) as stream:
            return b"".join(iter(lambda: stream.read(_SMALL), b""))


@contextmanager
def read_ahead(store: ObjectStore, arrivals: Sequence[Arrival]) -> Iterator[ReadAhead]:
    """Ends with its threads: what has not begun then never does."""
    pool = ThreadPoolExecutor(_AHEAD, thread_name_prefix="read-ahead")
    try:
        yield ReadAhead(store, arrivals, pool)
    finally:
        pool.shutdown(cancel_futures=True)
