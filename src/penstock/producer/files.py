"""Events from a file: JSON Lines or CSV, plain or gzip; whole, or followed as it grows."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, cast

import orjson

from penstock.model.errors import PermanentError
from penstock.producer.events import EVENT_ID


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file: the event in it, or why it is none. `end` is where the next one begins, in bytes."""

    number: int
    end: int
    event: Mapping[str, Any] | None
    fault: str = ""


def read_events(path: Path) -> Iterator[Line]:
    """Every line of the file, in constant memory. The same file gives the same ids, so putting it again can be told."""
    name = path.name.removesuffix(".gz")
    with path.open("rb") as plain:
        file = cast("IO[bytes]", gzip.GzipFile(fileobj=plain) if path.suffix == ".gz" else plain)
        yield from _csv(path.name, file) if name.endswith(".csv") else JsonLines(path.name).read(file)


class JsonLines:
    """Reads what is there of a file that may still be written: a line without its end is left for the next time."""

    def __init__(self, name: str, number: int = 0, offset: int = 0) -> None:
        self._name = name
        self.number = number
        self.offset = offset

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
                yield Line(self.number, self.offset, None, f"is no JSON: {error.msg}")
                continue
            if not isinstance(event, dict):
                yield Line(self.number, self.offset, None, "is no JSON object")
                continue
            yield Line(self.number, self.offset, _named(event, self._name, start, raw))


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
    replaced by another, or cut, is read from its beginning.
    """
    lines, inode = JsonLines(path.name), -1
    if position is not None and position.is_file():
        kept = orjson.loads(position.read_bytes())
        lines, inode = JsonLines(path.name, kept["line"], kept["offset"]), kept["inode"]
    while True:
        try:
            with path.open("rb") as file:
                now = path.stat()
                if inode not in (-1, now.st_ino) or now.st_size < lines.offset:
                    lines = JsonLines(path.name)
                inode = now.st_ino
                file.seek(lines.offset)
                yield from lines.read(file, growing=True)
        except FileNotFoundError:
            pass  # Between the old one that was moved away and the new one.
        if idle():
            return


def keep_position(path: Path, position: Path, line: Line) -> None:
    """Up to here everything was sent. Written whole or not at all."""
    kept = {"inode": path.stat().st_ino, "offset": line.end, "line": line.number}
    beside = position.with_suffix(".new")
    beside.write_bytes(orjson.dumps(kept))
    beside.replace(position)
