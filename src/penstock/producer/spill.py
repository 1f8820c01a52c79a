"""Events on disk that the stream did not take in time, in segments that are picked up in the order they were written.

A segment's file goes when all of it is in the stream. A process that dies before sends it once more when it comes back:
every event has an id, so a repeat can be told.
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from penstock.model.errors import PermanentError
from penstock.producer.events import Event

SEGMENT = 4 * 2**20
"""Bytes after which the next segment begins: what is read back at once."""


@dataclass(slots=True)
class _Segment:
    path: Path
    keys: Counter[str]
    left: int
    """Events of it that are not in the stream yet, once it was taken."""
    size: int = 0
    """Bytes of it that are whole: a write that failed may have left some behind."""


class Spill:
    """A folder of its own for each producer. Not safe for threads: its owner holds a lock.

    Raises PermanentError where another producer has the folder: each would take away what the other writes. What writes
    or reads raises OSError when the disk is full or gone; then nothing is changed.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # It ends with its process, however that ends.
        except BlockingIOError:
            self.close()
            raise PermanentError(
                f"another producer spills to {folder}. Give this one a folder of its own, or wait until that one ends"
            ) from None
        found = [self._found(path) for path in sorted(folder.glob("spill-*.jsonl"))]
        for segment in found:
            if not segment.size:  # Its writer died, or its disk was full, before a whole event was in it.
                segment.path.unlink()
        self._waiting = deque(segment for segment in found if segment.size)
        self._taken: dict[str, list[_Segment]] = {}
        """By event: one that was put back lies in two, should the first have been left by a process that died."""
        self._keys: Counter[str] = Counter()
        for segment in self._waiting:
            self._keys.update(segment.keys)
        numbers = [int(segment.path.stem.partition("-")[2]) for segment in self._waiting]
        self._first, self._last = min(numbers, default=10**9), max(numbers, default=10**9)

    def close(self) -> None:
        """Another producer may have the folder."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __len__(self) -> int:
        """Events that wait on disk and were not taken."""
        return sum(self._keys.values())

    def holds(self, key: str) -> bool:
        """Whether events of the key wait here: a later one has to wait behind them."""
        return self._keys[key] > 0

    def append(self, events: Sequence[Event]) -> None:
        """Written and synced when this returns."""
        last = self._waiting[-1] if self._waiting else None
        if last is None or last.size >= SEGMENT:
            last = _Segment(self._path(self._last + 1), Counter(), 0)
            self._write(last, events)
            self._waiting.append(last)
            self._last += 1
        else:
            self._write(last, events)

    def put_back(self, events: Sequence[Event]) -> None:
        """Before all that waits: they were taken once, and those behind them were not."""
        segment = _Segment(self._path(self._first - 1), Counter(), 0)
        self._write(segment, events)
        self._waiting.appendleft(segment)
        self._first -= 1

    def take(self) -> list[Event]:
        """The oldest segment's events; `sent` is told of each."""
        segment = self._waiting[0]
        found = map(orjson.loads, segment.path.read_bytes()[: segment.size].splitlines())
        events = [Event(one["key"], one["id"], one["line"].encode()) for one in found]
        self._waiting.popleft()
        self._keys.subtract(segment.keys)
        names = {event.id for event in events}
        for name in names:
            self._taken.setdefault(name, []).append(segment)
        segment.left = len(names)
        return events

    def gone(self, events: Iterable[Event]) -> None:
        """They are in the stream, or elsewhere on disk: a segment of which nothing is left goes."""
        for event in events:
            for segment in self._taken.pop(event.id, ()):
                segment.left -= 1
                if not segment.left:
                    with suppress(OSError):  # The next process sends it once more.
                        segment.path.unlink(missing_ok=True)

    def came_from_here(self, event: Event) -> bool:
        return event.id in self._taken

    def _write(self, segment: _Segment, events: Sequence[Event]) -> None:
        lines = b"".join(
            orjson.dumps({"key": one.key, "id": one.id, "line": one.line.decode()}, option=orjson.OPT_APPEND_NEWLINE)
            for one in events
        )
        with segment.path.open("ab", buffering=0) as file:
            os.ftruncate(file.fileno(), segment.size)
            rest = memoryview(lines)
            try:
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
                if not segment.size:  # Its name is in the folder, which is a file of its own.
                    os.fsync(self._handle)
            except OSError:
                with suppress(OSError):  # Else the next write does it, and until then nobody reads so far.
                    os.ftruncate(file.fileno(), segment.size)
                raise
        segment.size += len(lines)
        segment.keys.update(event.key for event in events)
        self._keys.update(event.key for event in events)

    def _path(self, number: int) -> Path:
        return self._folder / f"spill-{number:012d}.jsonl"

    @staticmethod
    def _found(path: Path) -> _Segment:
        """Of a process before: a last line that was cut off by a crash was never acknowledged, and is left out."""
        lines = path.read_bytes().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            os.truncate(path, path.stat().st_size - len(lines.pop()))  # In place: a crash loses no rest.
        return _Segment(path, Counter(orjson.loads(line)["key"] for line in lines), 0, sum(map(len, lines)))
