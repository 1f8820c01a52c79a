from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import Any

import orjson

from penstock.model.arrivals import Arrival
from penstock.model.errors import PermanentError
from penstock.model.streams import ByteStream
from penstock.ports import Move, StoredObject


@dataclass(frozen=True, slots=True)
class _Version:
    id: str
    data: bytes
    modified: datetime
    marker: bool = False


class FakeObjectStore:
    """A versioned bucket in memory.

    `put`, `delete` and `content` are a producer's and a test's; time goes on by a second with each version.
    """

    def __init__(self, bucket: str = "landing", at: datetime = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)) -> None:
        self.bucket = bucket
        self._at = at
        self._versions: dict[str, list[_Version]] = {}
        self._count = 0

    # ── what a producer does ────────────────────────────────────────────────────────────────────────────────────────

    def put(self, key: str, data: bytes, modified: datetime | None = None) -> Arrival:
        """PUT: a new version over whatever is there."""
        return self._arrival(key, self._add(key, data, modified))

    def delete(self, key: str) -> None:
        """A plain DELETE: a marker hides the versions and withdraws none."""
        self._add(key, b"", None, marker=True)

    # ── what a test looks at ────────────────────────────────────────────────────────────────────────────────────────

    def content(self, key: str) -> bytes:
        """What a plain GET gives; KeyError when the key shows nothing."""
        versions = self._versions.get(key, [])
        if not versions or versions[-1].marker:
            raise KeyError(key)
        return versions[-1].data

    def everything(self, prefix: str = "") -> dict[str, bytes]:
        return {key: self.content(key) for key in self.keys(prefix)}

    # ── the port ────────────────────────────────────────────────────────────────────────────────────────────────────

    def arrivals(self, prefix: str, after: str = "") -> Iterator[Arrival]:
        for key in sorted(self._versions, key=str.encode):
            for version in tuple(self._versions.get(key, ())):
                directory = not version.data and key.endswith("/")
                wanted = key.startswith(prefix) and key.encode() > after.encode()
                if wanted and not version.marker and not directory:
                    yield self._arrival(key, version)

    @contextmanager
    def open(self, arrival: Arrival) -> Iterator[ByteStream]:
        version = self._find(arrival)
        if version is None:
            raise PermanentError(f"Could not read {arrival.uri} (version {arrival.lies.version_id}): NoSuchVersion.")
        yield io.BytesIO(version.data)

    def move(self, moves: Sequence[Move]) -> Mapping[str, str]:
        gone: dict[str, str] = {}
        for move in moves:
            lies = move.arrival.lies
            if move.to == lies.key:
                continue
            version = self._find(move.arrival)
            if version is None:
                if len(self._shown(move.to) or b"") != move.arrival.size or self._shown(move.to) is None:
                    gone[move.arrival.id] = f"{move.arrival.uri} is gone and {move.to} does not hold it"
                continue
            self._add(move.to, version.data, None)
            self._versions[lies.key] = [one for one in self._versions[lies.key] if one.id not in lies.versions]
        return gone

    def copy(self, copies: Sequence[Move]) -> None:
        for copy in copies:
            version = self._find(copy.arrival)
            if version is not None:
                self._add(copy.to, version.data, None)
            elif self._shown(copy.to) is None:
                raise PermanentError(f"{copy.arrival.uri} is gone")

    def get_json(self, key: str) -> Any:
        return json.loads(self.content(key))

    def put_json(self, key: str, document: Any) -> None:
        self._add(key, orjson.dumps(document), None)

    def put_lines(self, key: str, lines: Iterable[bytes]) -> None:
        self._add(key, b"".join(line + b"\n" for line in lines), None)

    def keys(self, prefix: str) -> Iterator[str]:
        for key in sorted(self._versions, key=str.encode):
            if key.startswith(prefix) and self._shown(key) is not None:
                yield key

    def lines(self, key: str) -> Iterator[bytes]:
        yield from self.content(key).splitlines()

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        for key in self.keys(prefix):
            shown = self._versions[key][-1]
            if key.encode() > after.encode():
                yield StoredObject(key, len(shown.data), shown.modified)

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _add(self, key: str, data: bytes, modified: datetime | None, *, marker: bool = False) -> _Version:
        self._count += 1
        self._at += timedelta(seconds=1)
        version = _Version(f"v{self._count:08d}", data, modified or self._at, marker)
        self._versions.setdefault(key, []).append(version)
        return version

    def _find(self, arrival: Arrival) -> _Version | None:
        versions = self._versions.get(arrival.lies.key, [])
        wanted = arrival.lies.version_id
        return next((version for version in versions if version.id == wanted and not version.marker), None)

    def _shown(self, key: str) -> bytes | None:
        try:
            return self.content(key)
        except KeyError:
            return None

    def _arrival(self, key: str, version: _Version) -> Arrival:
        etag = md5(version.data, usedforsecurity=False).hexdigest()
        return Arrival(self.bucket, key, version.id, len(version.data), etag, version.modified)
