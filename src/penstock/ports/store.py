"""S3: the landing bucket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from penstock.model.arrivals import Arrival
from penstock.model.streams import ByteStream


@dataclass(frozen=True, slots=True)
class Move:
    arrival: Arrival
    to: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a plain listing shows of an object; `size` is in bytes."""

    key: str
    size: int
    modified: datetime


class ObjectStore(Protocol):
    """The landing bucket."""

    def arrivals(self, prefix: str, after: str = "") -> Iterator[Arrival]:
        """Every object version below `prefix`, a page at a time: keys ascending, versions of a key oldest first.

        Those of keys up to and with `after` are left out, and not read.

        Delete markers are passed over: a plain DELETE withdraws nothing. So are "directory" objects (empty, key ending
        in `/`).
        """
        ...

    def open(self, arrival: Arrival) -> AbstractContextManager[ByteStream]:
        """That version's bytes. A dropped connection shows as TransientError from `read`, never as an early end."""
        ...

    def move(self, moves: Sequence[Move]) -> Mapping[str, str]:
        """Copies each version to its new key, then deletes it by version id; only what was copied is deleted.

        Done twice it changes nothing: a version that is gone and whose target is there was moved before. Metadata and
        tags go along; over 5 GB in parts. An arrival that was settled before is taken from its location, all versions
        of it; one that is to stay where it lies is left alone.

        By arrival id, why what can't be moved for good was not: a refused key, or one that is gone and not there.
        What may be tried again raises TransientError. Neither holds up the others.
        """
        ...

    def copy(self, copies: Sequence[Move]) -> None:
        """Copies each version to a second key, inside S3; the version stays where it is. Done twice it changes nothing.

        Raises PermanentError when one is gone, unless it was copied before.
        """
        ...

    def get_json(self, key: str) -> Any:
        """The decoded document; KeyError where there is none."""
        ...

    def put_json(self, key: str, document: Any) -> None: ...

    def put_lines(self, key: str, lines: Iterable[bytes]) -> None:
        """Writes the lines, each ended by a newline, in constant memory; the object appears whole or not at all."""
        ...

    def lines(self, key: str) -> Iterator[bytes]:
        """What `put_lines` wrote, without the newlines, in constant memory; KeyError where there is no such object."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys below `prefix` that a plain listing shows, ascending."""
        ...

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        """The same with size and time, a page at a time; keys up to and with `after` are not read."""
        ...
