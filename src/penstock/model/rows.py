"""From decompressed bytes to rows: the one reader of files, for the search branch and for the warehouse's slow path.

Python's own csv module and orjson do the parsing. What this module adds is what they leave to their caller: blocks of
whole lines from a stream (so that memory does not grow with the file), the row's text as it stands in the file, the
physical line on which it begins, and an operator's words for what is wrong.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import orjson

from penstock.model.datasets import Column, Csv, Dataset, Format
from penstock.model.errors import BadFileError
from penstock.model.first_bytes import BLOCK, first_block
from penstock.model.json_array import elements
from penstock.model.streams import ByteStream


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file.

    `line` is the physical line on which it begins, from 1, the header counted. `raw` is its text as it stands in the
    file, its line end included, so that the rows' texts joined are the file's body; in a JSON array it is the element's
    alone. `values` has one value per column of the dataset, in the dataset's order: `str | None` in CSV, the JSON value
    in JSON (None where the key is missing). A row that can't be told apart into columns has no values, and `error` says
    why in an operator's words.

    Parquet has neither lines nor text: there `line` is the row's number, `raw` its values as JSON, and `values` are
    `str | None`.
    """

    line: int
    raw: str
    values: tuple[Any, ...]
    error: str = ""


def rows(stream: ByteStream, dataset: Dataset) -> Iterator[Row]:
    """The rows of a decompressed file, in its order, in constant memory. Lines with nothing in them are no rows.

    Raises BadFileError when the file as a whole can't be read: it is empty, the header is not the dataset's, bytes are
    not of the encoding, there is a NUL byte, a quote is never closed, or a row is longer than the dataset's
    `limits.max_row` (bytes of JSON, characters of CSV). A Parquet file is read from a SeekableStream.
    """
    if dataset.format is Format.PARQUET:
        from penstock.model.parquet import parquet_rows  # It reads on from here.

        return parquet_rows(stream, dataset)
    if dataset.format is Format.CSV:
        return _csv_rows(stream, dataset)
    if dataset.format is Format.JSON:
        return _array_rows(stream, dataset)
    return _json_rows(stream, dataset)


def header_columns(names: Sequence[str], dataset: Dataset) -> tuple[Column, ...]:
    """The dataset's columns in the order in which a file's header names them.

    Raises BadFileError when the header lacks a column, has one that the dataset does not know, or has one twice.
    """
    known = {column.in_file: column for column in dataset.columns}
    found = [name.strip() for name in names]
    if not any(found):
        raise BadFileError("the first line is empty, where the header should stand; mend the file and send it again")
    if known and not known.keys() & set(found):
        # What stands there is data, most likely, and a message carries none.
        raise BadFileError(
            f"the first line names none of dataset {dataset.name}'s columns ({', '.join(known)}): "
            "is the header missing, spelt otherwise, or of another delimiter? Mend the file, or say so in the dataset "
            "(csv: header, delimiter)"
        )
    if problems := column_faults(found, dataset):
        more = f"; and {len(problems) - 6} more" if len(problems) > 6 else ""
        raise BadFileError(
            f"the header changed: {'; '.join(problems[:6])}{more}. Mend the file, or change dataset {dataset.name}"
        )
    return tuple(known[name] for name in found)


def column_faults(found: Sequence[str], dataset: Dataset) -> list[str]:
    """What stands against a file with these columns, in words; nothing where they are the dataset's, in any order."""
    known = {column.in_file for column in dataset.columns}
    problems = [f"column {column.in_file} is missing" for column in dataset.columns if column.in_file not in found]
    problems += [f"column {_shown(name)} is not in the dataset" for name in found if name not in known]
    return problems + [
        f"column {column.in_file} is there twice" for column in dataset.columns if found.count(column.in_file) > 1
    ]


def dialect_of(dialect: Csv) -> dict[str, Any]:
    """The csv module's own parameters for a dataset's dialect."""
    doubled = dialect.escape == dialect.quote
    return {
        "delimiter": dialect.delimiter,
        "quotechar": dialect.quote,
        "doublequote": doubled,
        "escapechar": None if doubled else dialect.escape,
    }


def _csv_rows(stream: ByteStream, dataset: Dataset) -> Iterator[Row]:
    # The limit is ours, by row and not by field.
    csv.field_size_limit(max(csv.field_size_limit(), dataset.limits.max_row + BLOCK))
    lines = _Lines(stream, dataset.csv.encoding, dataset.limits.max_row)
    taken = lines.taken
    reader = csv.reader(lines.counted(), **dialect_of(dataset.csv))
    begins = 1
    columns = dataset.columns
    if dataset.csv.header:
        names = _header(reader)
        columns = header_columns(names, dataset)
        begins += len(taken)
        taken.clear()
    width = len(columns)
    in_order = _in_order(columns, dataset)
    null = dict.fromkeys(dataset.null_markers).get
    while True:
        try:
            for fields in reader:
                text = taken[0] if len(taken) == 1 else "".join(taken)
                if not fields and width == 1:
                    fields = [""]  # A file of one column writes an empty value so.
                if len(fields) == width:
                    if in_order is not None:
                        fields = in_order(fields)
                    yield Row(begins, text, tuple(map(null, fields, fields)))
                elif fields:
                    yield Row(begins, text, (), _width_words(len(fields), width))
                begins += len(taken)
                taken.clear()
        except csv.Error as error:
            yield Row(begins, "".join(taken), (), _csv_words(error))
            begins += len(taken)
            taken.clear()
        else:
            return


def _width_words(found: int, expected: int) -> str:
    columns = "column" if found == 1 else "columns"
    return f"{found} {columns} where {expected} were expected; quote what holds a delimiter or a line end"


def _header(reader: Iterator[list[str]]) -> list[str]:
    try:
        return next(reader)
    except StopIteration:
        raise BadFileError("the file is empty: there is not even a header; send it again") from None
    except csv.Error as error:
        raise BadFileError(f"the header can't be read: {_csv_words(error)}") from None


def _in_order(columns: tuple[Column, ...], dataset: Dataset) -> Callable[[list[str]], Any] | None:
    """What puts a row's fields into the dataset's order; None where they are in it."""
    if columns == dataset.columns:
        return None
    places = {column.name: place for place, column in enumerate(columns)}
    return itemgetter(*(places[column.name] for column in dataset.columns))


def _json_rows(stream: ByteStream, dataset: Dataset) -> Iterator[Row]:
    names = [column.in_file for column in dataset.columns]
    empty = True
    for line, raw in enumerate(_Lines(stream, "utf-8", dataset.limits.max_row), 1):
        row = _json_row(line, raw, names)
        if row.error:
            text = raw.rstrip()
            if not text:
                continue
            if empty and text.startswith("[") and row.error.startswith(_NO_JSON):
                raise BadFileError(_AN_ARRAY)
        empty = False
        yield row
    if empty:
        raise BadFileError("the file holds nothing but white space; send it again if it should hold rows")


def _array_rows(stream: ByteStream, dataset: Dataset) -> Iterator[Row]:
    names = [column.in_file for column in dataset.columns]
    for line, raw in elements(stream, dataset.limits.max_row):
        yield _json_row(line, raw, names, in_array=True)


def _json_row(line: int, raw: str, names: Sequence[str], *, in_array: bool = False) -> Row:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if "infinity" in error.msg and (wide := _with_wide_numbers(raw)) is not None:
            return Row(line, raw, tuple(map(wide.get, names)))
        text = raw.rstrip()
        place = min(error.pos, len(text)) + 1
        where = f"character {place} of the element" if in_array else f"column {place}"
        return Row(line, raw, (), f"{_NO_JSON} {where}: {_json_words(error, text)}")
    if isinstance(value, dict):
        return Row(line, raw, tuple(map(value.get, names)))
    return Row(line, raw, (), f"a JSON object was expected, and this is {_kind(value, in_array)}")


class _Lines:
    """A stream's lines with their ends, decoded a block of whole lines at a time."""

    def __init__(self, stream: ByteStream, encoding: str, max_row: int) -> None:
        self._stream = stream
        self._encoding = encoding
        self._max_row = max_row
        self._read = 0
        """Lines before the block that is being decoded."""
        self._end = b"\n"
        self.taken: list[str] = []
        """The lines that the csv reader has taken for the row it is at; whoever gets the row clears it."""

    def counted(self) -> Iterator[str]:
        """The lines, each noted in `taken`. Asked for another at the end while a row is open: its quote is open too."""
        taken = self.taken
        note = taken.append
        for block in self._blocks():
            if taken and sum(map(len, taken)) > self._max_row:
                raise BadFileError(_too_long(self._read - len(taken) + 1, self._max_row))
            self._read += len(block)
            for line in block:
                note(line)
                yield line
        if taken:
            raise BadFileError(
                f"the row that begins on line {self._read - len(taken) + 1} opens a quote that is never closed; "
                "what follows can't be told apart into rows. Mend the file and send it again"
            )

    def __iter__(self) -> Iterator[str]:
        for block in self._blocks():
            self._read += len(block)
            yield from block

    def _blocks(self) -> Iterator[list[str]]:
        held: list[bytes] = []
        held_size = 0
        chunk = self._begin()
        while chunk:
            if (nul := chunk.find(b"\0")) >= 0:
                line = self._read + b"".join((*held, chunk[:nul])).count(self._end) + 1
                raise BadFileError(
                    f"there is a NUL byte on line {line}: it is no text file, or one in UTF-16; write it as UTF-8"
                )
            cut = chunk.rfind(self._end) + 1
            if not cut:
                held.append(chunk)
                held_size += len(chunk)
                if held_size > self._max_row:
                    raise BadFileError(_too_long(self._read + 1, self._max_row))
            else:
                yield self._lines(b"".join((*held, chunk[:cut])))
                held = [chunk[cut:]]
                held_size = len(chunk) - cut
            chunk = self._stream.read(BLOCK)
        if held_size:
            yield self._lines(b"".join(held))

    def _begin(self) -> bytes:
        chunk = first_block(self._stream, self._encoding)
        if b"\n" not in chunk and b"\r" in chunk:
            self._end = b"\r"
        return chunk

    def _lines(self, block: bytes) -> list[str]:
        try:
            text = block.decode(self._encoding)
        except UnicodeDecodeError as error:
            line = self._read + block.count(self._end, 0, error.start) + 1
            raise BadFileError(
                f"line {line} holds a byte (0x{block[error.start]:02x}) that is not {self._encoding}; "
                "mend the file, or name its encoding in the dataset"
            ) from None
        end = self._end.decode()
        lines = [line + end for line in text.split(end)]
        if lines[-1] == end:
            lines.pop()
        else:
            lines[-1] = lines[-1][: -len(end)]
        return lines


def _too_long(line: int, most: int) -> str:
    shown = f"{most // 2**20} MiB" if most % 2**20 == 0 else f"{most} bytes"
    return (
        f"the row that begins on line {line} is longer than {shown}: a quote that is never closed, or a file without "
        "line ends. Mend the file, or raise limits: max_row of the dataset"
    )


def _csv_words(error: csv.Error) -> str:
    text = str(error)
    if "new-line character" in text:
        return "there is a carriage return outside quotes; quote the value, or end lines with LF or CRLF"
    return f"no valid CSV: {text}"


def _with_wide_numbers(raw: str) -> dict[str, Any] | None:
    """An object with numbers that no double holds, as their texts: a warehouse may hold them. None: no object."""
    if "\\u" in raw:
        return None  # The standard library takes half of a surrogate pair.
    try:
        value = json.loads(raw, parse_float=_narrow, parse_int=_narrow, parse_constant=_refused)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _narrow(text: str) -> Any:
    number = orjson.loads(text) if len(text) < 300 and "e" not in text.lower() else float(text)
    return text if number in (math.inf, -math.inf) else number


def _refused(name: str) -> None:
    raise ValueError(name)


_NO_JSON = "no valid JSON at"
_AN_ARRAY = (
    "the file is a JSON array over several lines; say format: json in the dataset, or write each object on a line of "
    "its own, as `jq -c '.[]'` does"
)

_JSON_WORDS = {
    "unexpected end of data": "the line ends before its object does; an object stands on one line",
    "no low surrogate in string": "half of a surrogate pair, which is no character",
    "lone leading surrogate in hex escape": "half of a surrogate pair, which is no character",
    "depth limit exceeded": "it is nested too deep",
    "number is infinity when parsed as double": "the number is too large",
    "unexpected content after document": "something stands behind the object; an object has a line of its own",
}
_NO_NUMBER = re.compile(r"-?(?:NaN|Infinity|inf)\b", re.IGNORECASE)


def _json_words(error: orjson.JSONDecodeError, text: str) -> str:
    if _NO_NUMBER.match(text, error.pos) or _NO_NUMBER.match(text, max(error.pos - 1, 0)):
        return "NaN and Infinity are no JSON; write null"
    words = error.msg.partition(": line ")[0]
    return _JSON_WORDS.get(words, words)


def _kind(value: object, in_array: bool) -> str:
    if isinstance(value, list):
        return "an array" if in_array else "an array; write each object on a line of its own"
    return "null" if value is None else "a bare value"


def _shown(name: str) -> str:
    """A column's name from a file, fit for a message: a headerless file's first row must not fill a log."""
    return name if name.isprintable() and 0 < len(name) <= 63 else repr(name[:40])
