"""Events from a file: JSON Lines or CSV, plain or gzip; whole, or followed as it grows."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, cast

import orjson

from penstock.model.errors import PermanentError
from penstock.producer.events import EVENT_ID


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file: the event in it, or why it is none. `end` is where the next one begins, in bytes.

    Of a file that is followed also which it is: its inode, and how often it was cut.
    """

    number: int
    end: int
    event: Mapping[str, Any] | None
    fault: str = ""
    inode: int = 0
    cuts: int = 0


def read_events(path: Path) -> Iterator[Line]:
    """Every line of the file, in constant memory. The same file gives the same ids, so putting it again can be told."""
    name = path.name.removesuffix(".gz")
    with path.open("rb") as plain:
        file = cast("IO[bytes]", gzip.GzipFile(fileobj=plain) if path.suffix == ".gz" else plain)
        yield from _csv(path.name, file) if name.endswith(".csv") else JsonLines(path.name).read(file)


class JsonLines:
    """Reads what is there of a file that may still be written: a line without its end is left for the next time."""

    def __init__(self, name: str, number: int = 0, offset: int = 0, inode: int = 0, cuts: int = 0) -> None:
        # A log that is begun anew may begin with the same line: that is another event.
        self._name = f"{name}\0{inode}.{cuts}" if inode else name
        self.number = number
        self.offset = offset
        self.inode = inode
        self.cuts = cuts

    def read(self, file: IO[bytes], *, growing: bool = False) -> Iterator[Line]:
        """From where the file stands, which is `offset`. The last line needs no end where nothing more will come."""
        for raw in file:
            if growing and not raw.endswith(b"\n"):
                return
            start, self.offset, self.number = self.offset, self.offset + len(raw), self.number + 1
            if not raw.strip():
                continue
            try:
                event = orjson.loads(raw)
            except orjson.JSONDecodeError as error:
                yield self._line(None, f"is no JSON: {error.msg}")
                continue
            if not isinstance(event, dict):
                yield self._line(None, "is no JSON object")
                continue
            yield self._line(_named(event, self._name, start, raw))

    def read_on(self, file: IO[bytes], *, growing: bool = True) -> Iterator[Line]:
        file.seek(self.offset)
        yield from self.read(file, growing=growing)

    def _line(self, event: Mapping[str, Any] | None, fault: str = "") -> Line:
        return Line(self.number, self.offset, event, fault, self.inode, self.cuts)


def _csv(name: str, file: IO[bytes]) -> Iterator[Line]:
    reader = csv.DictReader(io.TextIOWrapper(file, "utf-8-sig", newline=""), restkey="", restval=None, strict=True)
    try:
        for row in reader:
            number = reader.line_num
            if "" in row or None in row.values():
                yield Line(number, 0, None, f"has not the {len(reader.fieldnames or ())} columns of the header")
                continue
            yield Line(number, 0, _named(row, name, number, orjson.dumps(row)))
    except (csv.Error, UnicodeDecodeError) as error:
        raise PermanentError(f"{name}, after line {reader.line_num}: {error}. What came before it was sent") from None


def _named(event: dict[str, Any], name: str, place: int, content: bytes) -> Mapping[str, Any]:
    """With an id of its own where it has none: what it is and where it stands."""
    if EVENT_ID in event:
        return event
    digest = blake2b(f"{name}\0{place}\0".encode() + content, digest_size=16).hexdigest()
    return {EVENT_ID: digest, **event}


def follow(path: Path, position: Path | None, idle: Callable[[], bool]) -> Iterator[Line]:
    """Lines as they are written, from `position`'s place on or from the beginning, until `idle` says that it is enough.

    `idle` is called whenever nothing new is there, and waits as it likes. Its True ends the following. A file that is
    replaced by another is read to its end, and once more at the next look, for what its writer had still to write; the
    other, or one that is cut, is read from its beginning.
    """
    with ExitStack() as files:
        lines = _kept(path, position)
        if lines is not None:
            yield from _rest(path, lines)
        file: IO[bytes] | None = None
        left: tuple[JsonLines, IO[bytes]] | None = None
        while True:
            if file is None and path.is_file():
                file = files.enter_context(path.open("rb"))
                if lines is None or lines.inode != inode_of(file):
                    lines = JsonLines(path.name, inode=inode_of(file))
            if file is not None and lines is not None:
                if os.fstat(file.fileno()).st_size < lines.offset:
                    lines = JsonLines(path.name, inode=lines.inode, cuts=lines.cuts + 1)
                yield from lines.read_on(file)
            if idle():
                return
            if left is not None:
                yield from left[0].read_on(left[1], growing=False)
                left[1].close()
                left = None
            # One that was moved away is read on until another is there.
            if file is not None and lines is not None and path.is_file() and path.stat().st_ino != lines.inode:
                yield from lines.read_on(file)
                left, file = (lines, file), None


def inode_of(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_ino


def _kept(path: Path, position: Path | None) -> JsonLines | None:
    if position is None or not position.is_file():
        return None
    kept = orjson.loads(position.read_bytes())
    return JsonLines(path.name, kept["line"], kept["offset"], kept["inode"], kept.get("cuts", 0))


def _rest(path: Path, lines: JsonLines) -> Iterator[Line]:
    """What a file that has been moved away since had behind the position, wherever it lies in its folder."""
    if path.is_file() and path.stat().st_ino == lines.inode:
        return
    moved = [one for one in path.parent.iterdir() if one.is_file() and one.stat().st_ino == lines.inode]
    if not moved:
        fault = (
            f"is another file than before, and that one is gone: what it had behind line {lines.number} was not sent"
        )
        yield Line(0, 0, None, fault)
        return
    with moved[0].open("rb") as file:
        yield from lines.read_on(file, growing=False)


def keep_position(position: Path, line: Line) -> None:
    """Up to here everything was sent. Written whole or not at all."""
    kept = {"inode": line.inode, "cuts": line.cuts, "offset": line.end, "line": line.number}
    beside = position.with_suffix(".new")
    beside.write_bytes(orjson.dumps(kept))
    beside.replace(position)
