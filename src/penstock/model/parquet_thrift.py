"""What a Parquet file says of itself, read without pyarrow: its footer, and the headers of its pages.

pyarrow ends the process (std::terminate) where a column's part of the footer is damaged or encrypted and is asked for,
and it unpacks a page to what the page's header says before it holds that against anything. Both are a few numbers in
Thrift's compact form, of which this reads what there is and interprets nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT, _UUID = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13
_INTEGERS = (4, 5, 6)
_DEPTH = 32
_NOTHING: Mapping[int, Callable[[Any], Any]] = {}


class ThriftError(ValueError):
    """Bytes that are none of Thrift's."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A column's part of a row group: bytes from `start` in the file, packed and unpacked. `nulls` is None, and `least`
    and `most` are empty, where nothing is said of them.
    """

    start: int
    packed: int
    unpacked: int
    nulls: int | None
    least: bytes
    most: bytes


@dataclass(frozen=True, slots=True)
class Group:
    rows: int
    size: int
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Footer:
    rows: int
    groups: tuple[Group, ...]
    encrypted: bool


def read_footer(data: bytes) -> Footer:
    """Raises ThriftError for what is none. Takes about twice its bytes: little is kept of a row group."""
    found = _Reader(data).struct(each={4: _group})
    groups = found.get(4, [])
    if not isinstance(groups, list):
        raise ThriftError
    readable = tuple(group for group in groups if group is not None)
    return Footer(_number(found.get(3)), readable, encrypted=8 in found or len(readable) < len(groups))


def _group(value: Any) -> Group | None:
    """None for one of which a column is encrypted."""
    group = _struct(value)
    columns = group.get(1, [])
    if not isinstance(columns, list):
        raise ThriftError
    if any(_struct(column).keys() & {8, 9} for column in columns):
        return None
    return Group(_number(group.get(3)), _number(group.get(2)), tuple(map(_chunk, columns)))


def unpacked_pages(chunk: bytes | memoryview) -> Iterator[int]:
    """What each page of a column's bytes says that it unpacks to. Ends where no page begins, which pyarrow judges."""
    reader = _Reader(chunk)
    while reader.at < len(chunk):
        try:
            header = reader.struct()
            unpacked, packed = _number(header.get(2)), _number(header.get(3))
        except ThriftError:
            return
        yield unpacked
        if packed < 0:
            return
        reader.at += packed


def _chunk(column: dict[int, Any]) -> Chunk:
    known = _struct(column.get(3))
    says = _struct(known.get(12, {}))
    start = _number(known.get(9))
    dictionary = known.get(11)
    return Chunk(
        min(start, dictionary) if isinstance(dictionary, int) and dictionary > 0 else start,
        _number(known.get(7)),
        _number(known.get(6)),
        says.get(3) if isinstance(says.get(3), int) else None,
        _bytes(says.get(6)),
        _bytes(says.get(5)),
    )


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise ThriftError
    return value


def _struct(value: Any) -> dict[int, Any]:
    if not isinstance(value, dict):
        raise ThriftError
    return value


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


class _Reader:
    """Thrift's compact protocol. Every element takes a byte at least, so nothing is larger than what is read."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = data
        self.at = 0

    def struct(self, depth: int = 0, each: Mapping[int, Callable[[Any], Any]] = _NOTHING) -> dict[int, Any]:
        """`each` is what becomes of the elements of a list, by the list's field."""
        fields: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) != _STOP:
            delta = head >> 4
            number = number + delta if delta else self._integer()
            if number in each and head & 15 == _LIST:
                fields[number] = self._elements(depth, each[number])
            else:
                fields[number] = self._value(head & 15, depth, in_field=True)
        return fields

    def _value(self, type_: int, depth: int, *, in_field: bool = False) -> Any:
        if type_ in _INTEGERS:
            return self._integer()
        if type_ == _BINARY:
            return self._take(self._varint())
        if type_ in (_TRUE, _FALSE):
            return (type_ if in_field else self._byte()) == _TRUE
        if depth > _DEPTH:
            raise ThriftError
        if type_ == _STRUCT:
            return self.struct(depth + 1)
        if type_ in (_LIST, _SET):
            return self._elements(depth, lambda element: element)
        if type_ == _MAP:
            size = self._counted(self._varint())
            kinds = self._byte() if size else 0
            return [(self._value(kinds >> 4, depth + 1), self._value(kinds & 15, depth + 1)) for _ in range(size)]
        if type_ == _BYTE:
            return self._byte()
        if type_ in (_DOUBLE, _UUID):
            return self._take(8 if type_ == _DOUBLE else 16)
        raise ThriftError

    def _elements(self, depth: int, each: Callable[[Any], Any]) -> list[Any]:
        head = self._byte()
        size = self._varint() if head >> 4 == 15 else head >> 4
        return [each(self._value(head & 15, depth + 1)) for _ in range(self._counted(size))]

    def _counted(self, size: int) -> int:
        if size > len(self._data) - self.at:
            raise ThriftError
        return size

    def _byte(self) -> int:
        if self.at >= len(self._data):
            raise ThriftError
        self.at += 1
        return self._data[self.at - 1]

    def _take(self, size: int) -> bytes:
        self.at += self._counted(size)
        return bytes(self._data[self.at - size : self.at])

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise ThriftError

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
