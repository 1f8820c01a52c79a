"""The landing bucket of a month: the shared fake, with arrivals that have a size and no bytes, and no history."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from tests.fakes.clock import FakeClock
from tests.fakes.object_store import FakeObjectStore

from penstock.model.arrivals import INCOMING, Arrival
from penstock.ports import StoredObject


class Landing(FakeObjectStore):
    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self._keys: list[str] = []
        self._waiting: dict[str, Arrival] = {}
        self._documents: dict[str, tuple[Any, datetime]] = {}

    def arrive(self, key: str, size: int) -> None:
        insort(self._keys, key)
        self._waiting[key] = Arrival(self.bucket, key, "v1", size, "e", self._clock.now())

    def settle(self, arrivals: Iterable[Arrival]) -> None:
        gone = {arrival.key for arrival in arrivals}
        for key in gone:
            self._waiting.pop(key, None)
        self._keys = [key for key in self._keys if key not in gone]

    def forget(self, plan: str) -> None:
        for key in [key for key in self._documents if plan in key]:
            del self._documents[key]

    def arrivals(self, prefix: str, after: str = "") -> Iterator[Arrival]:
        assert (prefix, after) == (INCOMING, "")
        yield from [self._waiting[key] for key in self._keys]

    def get_json(self, key: str) -> Any:
        return self._documents[key][0]

    def put_json(self, key: str, document: Any) -> None:
        self._documents[key] = document, self._clock.now()

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        for key, (_, modified) in sorted(self._documents.items()):
            if key.startswith(prefix) and key > after:
                yield StoredObject(key, 0, modified)
