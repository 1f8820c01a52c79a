"""Events from a file: JSON Lines or CSV, plain or gzip; whole, or followed as it grows."""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from glob import escape
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, cast

import orjson

from penstock.model.errors import PermanentError
from penstock.producer.events import EVENT_ID

_OWN = frozenset({".position", ".new"})
"""What a spill may have in the same folder."""
_PACKED = frozenset({".gz", ".bz2", ".xz", ".zst"})
_LONGEST_LINE = 8 * 2**20
"""Bytes. An event has a megabyte at most, and what has no line ends should not be held in memory."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file: the event in it, or why it is none. `end` is where the next one begins, in bytes.

    Of a file that is followed also which it is: its inode, how often it was cut, and how the line is known again.
    """

    number: int
    end: int
    event: Mapping[str, Any] | None
    fault: str = ""
    inode: int = 0
    cuts: int = 0
    mark: tuple[int, str] = (0, "")


def read_events(path: Path) -> Iterator[Line]:
    """Every line of the file, in constant memory. The same file gives the same ids, so putting it again can be told."""
    name = path.name.removesuffix(".gz")
    with path.open("rb") as plain:
        file = cast("IO[bytes]", gzip.GzipFile(fileobj=plain) if path.suffix == ".gz" else plain)
        try:
            yield from _csv(path.name, file) if name.endswith(".csv") else JsonLines(path.name).read(file)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise PermanentError(f"{path.name} is no whole gzip: {error}. What could be read of it was sent") from None


class JsonLines:
    """Reads what is there of a file that may still be written: a line without its end is left for the next time."""

    def __init__(
        self,
        name: str,
        number: int = 0,
        offset: int = 0,
        inode: int = 0,
        cuts: int = 0,
        mark: tuple[int, str] = (0, ""),
    ) -> None:
        # A log that is begun anew may begin with the same line: that is another event.
        self._name = f"{name}\0{inode}.{cuts}" if inode else name
        self.number = number
        self.offset = offset
        self.inode = inode
        self.cuts = cuts
        self._mark = mark
        """Bytes of what was read last, and their hash: whether a file still has it says whether it is the same."""
        self._is_too_long = False

    def read(self, file: IO[bytes], *, growing: bool = False) -> Iterator[Line]:
        """From where the file stands, which is `offset`. The last line needs no end where nothing more will come."""
        while raw := file.readline(_LONGEST_LINE):
            is_whole = raw.endswith(b"\n")
            self._is_too_long |= not is_whole and len(raw) == _LONGEST_LINE
            if growing and not is_whole and not self._is_too_long:
                return
            start, self.offset = self.offset, self.offset + len(raw)
            self._mark = (len(raw), _hash(raw))
            if self._is_too_long:
                if is_whole:
                    yield self._end_of_too_long()
                continue
            self.number += 1
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
        if self._is_too_long and not growing:
            yield self._end_of_too_long()

    def _end_of_too_long(self) -> Line:
        self.number, self._is_too_long = self.number + 1, False
        return self._line(None, f"is longer than {_LONGEST_LINE:,} bytes")

    def is_in(self, file: IO[bytes]) -> bool:
        """Whether what was read is still there: else it was cut, or is another file with a number used again."""
        size, known = self._mark
        file.seek(max(0, self.offset - size))
        there = file.read(size)
        return os.fstat(file.fileno()).st_size >= self.offset and (not known or _hash(there) == known)

    def anew(self) -> JsonLines:
        """The same file, cut."""
        return JsonLines(self._name.partition("\0")[0], inode=self.inode, cuts=self.cuts + 1)

    def read_on(self, file: IO[bytes], *, growing: bool = True) -> Iterator[Line]:
        file.seek(self.offset)
        yield from self.read(file, growing=growing)

    def _line(self, event: Mapping[str, Any] | None, fault: str = "") -> Line:
        return Line(self.number, self.offset, event, fault, self.inode, self.cuts, self._mark)


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
    replaced by another is read to its end, after one more look for what its writer had still to write; then the other,
    or one that is cut, is read from its beginning.
    """
    with ExitStack() as files:
        lines = _kept(path, position)
        if lines is not None:
            lines = yield from _rest(path, lines, position)
        file: IO[bytes] | None = None
        while True:
            if file is None:
                with suppress(FileNotFoundError):  # It is about to be made.
                    file = files.enter_context(path.open("rb"))
                    if lines is None or lines.inode != inode_of(file):
                        lines = JsonLines(path.name, inode=inode_of(file))
            if file is not None and lines is not None:
                if not lines.is_in(file):
                    lines = lines.anew()
                yield from lines.read_on(file)
            if idle():
                return
            # One that was moved away is read on until another is there.
            if file is not None and lines is not None and _inode_at(path) not in (None, lines.inode):
                yield from lines.read_on(file)
                idle()  # Its writer has to notice, too.
                yield from lines.read_on(file, growing=False)
                yield from _since(path, lines.inode, os.fstat(file.fileno()).st_mtime_ns)
                file.close()
                file = None


def inode_of(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_ino


def _inode_at(path: Path) -> int | None:
    with suppress(FileNotFoundError):
        return path.stat().st_ino
    return None


def _hash(raw: bytes) -> str:
    return blake2b(raw, digest_size=16).hexdigest()


def _kept(path: Path, position: Path | None) -> JsonLines | None:
    if position is None or not position.is_file():
        return None
    kept = orjson.loads(position.read_bytes())
    mark = tuple(kept.get("mark", (0, "")))
    return JsonLines(path.name, kept["line"], kept["offset"], kept["inode"], kept.get("cuts", 0), mark)


def _rest(path: Path, lines: JsonLines, position: Path | None) -> Generator[Line, None, JsonLines]:
    """What a file that has been moved away since had behind the position, wherever it lies in its folder."""
    moved = [one for one in (path, *path.parent.iterdir()) if _inode_at(one) == lines.inode and one.is_file()]
    for one in moved[:1]:
        with one.open("rb") as file:
            if lines.is_in(file):
                if one != path:
                    yield from lines.read_on(file, growing=False)
                    yield from _since(path, lines.inode, os.fstat(file.fileno()).st_mtime_ns)
                return lines
    what = (
        "was cut, or is another file with its number" if moved else "is another file than before, and that one is gone"
    )
    yield Line(0, 0, None, f"{what}: what it had behind line {lines.number}, if anything, was not sent")
    if position is not None:
        yield from _since(path, lines.inode, position.stat().st_mtime_ns)
    return lines.anew()


def _since(path: Path, inode: int, when: int) -> Iterator[Line]:
    """What lies in files that were followed by nobody: moved away, as `path` with something behind it, since then."""
    with ExitStack() as opened:
        found: dict[int, tuple[int, Path, IO[bytes]]] = {}
        for one in path.parent.glob(f"{escape(path.name)}?*"):
            with suppress(FileNotFoundError, IsADirectoryError):
                if one.suffix not in _OWN:
                    file = opened.enter_context(one.open("rb"))
                    found[inode_of(file)] = (os.fstat(file.fileno()).st_mtime_ns, one, file)
        for number, (changed, one, there) in sorted(found.items(), key=lambda other: other[1][:2]):
            if changed < when or number in (inode, _inode_at(path)):
                continue
            if one.suffix in _PACKED:
                yield Line(0, 0, None, f"{one.name} is compressed, and was not sent: it was moved away unfollowed")
            else:
                yield from JsonLines(path.name, inode=number).read_on(there, growing=False)


def keep_position(position: Path, line: Line) -> None:
    """Up to here everything was sent. Written whole or not at all."""
    kept = {"inode": line.inode, "cuts": line.cuts, "offset": line.end, "line": line.number, "mark": line.mark}
    beside = position.with_suffix(".new")
    with beside.open("wb") as file:
        file.write(orjson.dumps(kept))
        file.flush()
        os.fsync(file.fileno())  # Its name may be on disk before its content is.
    beside.replace(position)
