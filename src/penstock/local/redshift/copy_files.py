"""COPY … FROM 's3://…': the objects are read, their rows told apart as by Redshift, and PostgreSQL takes them.

Strict where COPY is: a quote inside an unquoted field, a row too short or too long, a line of JSON that is no object.
What a value's type takes, PostgreSQL's input functions say.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from sqlglot import exp

from penstock.model.compression import decompressed
from penstock.model.datasets import Compression
from penstock.model.errors import BadFileError

Objects = Callable[[str, str], bytes]
"""An object's bytes by bucket and key; KeyError where there is none."""

_FLAGS = {"MANIFEST", "GZIP", "ZSTD", "BZIP2", "EMPTYASNULL", "IGNOREBLANKLINES"}
_CODES = {"22P02": 1207, "22003": 1204, "22007": 1206, "22008": 1206, "23502": 1213, "22001": 1204}
"""PostgreSQL's states as Redshift's load errors. 1207 is its "outside of the expected range of 0-9"."""


class CopyError(Exception):
    """A COPY that could not even begin: its text is what Redshift would answer."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row of sys_load_error_detail."""

    file: str
    line: int
    column: str
    code: int
    message: str


class LoadError(Exception):
    """A COPY stumbled over a row."""

    def __init__(self, bad: BadRow) -> None:
        super().__init__(bad.message)
        self.bad = bad


@dataclass(frozen=True, slots=True)
class Copy:
    table: str
    columns: tuple[str, ...]
    source: str
    options: dict[str, Any]

    @classmethod
    def of(cls, parsed: exp.Copy) -> Copy:
        """The parser knows COPY, but takes two flags in a row for a name and its value: words are read in turn."""
        words: list[str] = []
        for parameter in parsed.args["params"]:
            words += [part.name for part in (parameter.this, parameter.expression) if part is not None]
        options: dict[str, Any] = {}
        rest = iter(words)
        for word in rest:
            name = word.upper()
            if name in _FLAGS:
                options[name] = True
            elif name in ("FORMAT", "FORMAT AS JSON"):
                value = next(rest)
                if name == "FORMAT" and value.upper() == "JSON":
                    value, name = next(rest), "FORMAT AS JSON"
                options["FORMAT"] = value.upper() if name == "FORMAT" else "JSON"
                options["PATHS"] = value
            elif name == "NULL AS":
                options["NULL"] = next(rest)
            elif name == "NULL":
                value = next(rest)
                options["NULL"] = next(rest) if value.upper() == "AS" else value
            else:
                options[name] = next(rest)
        schema = parsed.this
        columns = [one.name for one in schema.expressions] if isinstance(schema, exp.Schema) else []
        table = schema.this if isinstance(schema, exp.Schema) else schema
        return cls(table.sql("postgres", identify=True), tuple(columns), parsed.args["files"][0].name, options)


def run_copy(connection: psycopg.Connection[Any], copy: Copy, objects: Objects) -> list[tuple[str, int]]:
    """The files that were read, each with its lines."""
    return [(uri, _copy_file(connection, copy, uri, data, objects)) for uri, data in _files(copy, objects)]


def _files(copy: Copy, objects: Objects) -> Iterator[tuple[str, bytes]]:
    if not copy.options.get("MANIFEST"):
        yield copy.source, _get(objects, copy.source)
        return
    for entry in json.loads(_get(objects, copy.source))["entries"]:
        try:
            data = _get(objects, entry["url"])
        except CopyError:
            if entry.get("mandatory", False):
                raise
            continue
        if copy.options["FORMAT"] == "PARQUET" and entry.get("meta", {}).get("content_length") != len(data):
            raise CopyError(f"File has content_length missing or wrong in the manifest: {entry['url']}")
        yield entry["url"], data


def _get(objects: Objects, uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        return objects(bucket, key)
    except KeyError:
        raise CopyError(
            f"Problem reading manifest file - S3ServiceException:The specified key does not exist: {uri}"
        ) from None


def _copy_file(connection: psycopg.Connection[Any], copy: Copy, uri: str, data: bytes, objects: Objects) -> int:
    if copy.options["FORMAT"] == "PARQUET":
        from penstock.local.redshift.copy_parquet import parquet_rows  # pyarrow takes its time, and few ask for it.

        return _take(connection, copy, uri, parquet_rows(connection, copy, uri, data))
    try:
        text = _unpacked(copy, data).decode()
    except (BadFileError, ValueError) as error:
        raise LoadError(BadRow(uri, 0, "", 1216, f"Invalid input: {type(error).__name__}")) from None
    rows: Iterator[tuple[int, list[Any]]]
    rows = _csv(copy, uri, text) if copy.options["FORMAT"] == "CSV" else _json(copy, uri, text, objects)
    _take(connection, copy, uri, rows)
    return text.count("\n") + bool(text and not text.endswith("\n"))


def _take(connection: psycopg.Connection[Any], copy: Copy, uri: str, rows: Iterator[tuple[int, list[Any]]]) -> int:
    """How many there were; each comes with its line."""
    places: list[int] = []
    columns = sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Identifier, copy.columns)))
    statement = sql.SQL("COPY {} {} FROM STDIN").format(sql.SQL(copy.table), columns if copy.columns else sql.SQL(""))
    try:
        with connection.cursor() as cursor, cursor.copy(statement) as into:
            for line, values in rows:
                places.append(line)
                into.write_row(values)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise LoadError(_bad_row(uri, places, error)) from None
    return len(places)


def _unpacked(copy: Copy, data: bytes) -> bytes:
    compression = next((one for one in Compression if copy.options.get(one.name)), Compression.NONE)
    stream = decompressed(io.BytesIO(data), compression)
    pieces: list[bytes] = []
    while piece := stream.read(2**20):
        pieces.append(piece)
    return b"".join(pieces)


def _csv(copy: Copy, uri: str, text: str) -> Iterator[tuple[int, list[str | None]]]:
    delimiter, quote = copy.options.get("DELIMITER", ","), copy.options.get("QUOTE", '"')
    plain = f"[^{re.escape(quote + delimiter)}\r\n]*"
    field = f"(?:{re.escape(quote)}(?:[^{re.escape(quote)}]|{re.escape(quote * 2)})*{re.escape(quote)}|{plain})"
    well_formed = re.compile(f"{field}(?:{re.escape(delimiter)}{field})*\r?\n?")
    taken: list[str] = []
    begins = 1

    def lines() -> Iterator[str]:
        for line in io.StringIO(text, newline="\n"):
            taken.append(line)
            yield line

    for number, fields in enumerate(csv.reader(lines(), delimiter=delimiter, quotechar=quote)):
        raw, line = "".join(taken), begins
        begins += len(taken)
        taken.clear()
        if number < int(copy.options.get("IGNOREHEADER", 0)) or not raw.strip("\r\n"):
            continue
        if not well_formed.fullmatch(raw):
            raise LoadError(BadRow(uri, line, "", 1214, "Invalid quote formatting for CSV"))
        if len(fields) != len(copy.columns):
            code, message = (
                (1202, "Extra column(s) found") if len(fields) > len(copy.columns) else (1214, "Delimiter not found")
            )
            raise LoadError(BadRow(uri, line, "", code, message))
        # Redshift takes an empty number for NULL; EMPTYASNULL does so with texts.
        null = {"", copy.options.get("NULL", "\\N")}
        quoted = _quoted_fields(raw, field, delimiter, quote)
        yield (
            line,
            [
                None if value in null and not is_quoted else value
                for value, is_quoted in zip(fields, quoted, strict=True)
            ],
        )


def _quoted_fields(raw: str, field: str, delimiter: str, quote: str) -> list[bool]:
    found: list[bool] = []
    place, pattern = 0, re.compile(field)
    while match := pattern.match(raw, place):
        found.append(match.group().startswith(quote))
        place = match.end()
        if place >= len(raw) or raw[place] != delimiter:
            break
        place += 1
    return found


def _json(copy: Copy, uri: str, text: str, objects: Objects) -> Iterator[tuple[int, list[str | None]]]:
    names = list(copy.columns)
    if copy.options["PATHS"] != "auto":
        paths = json.loads(_get(objects, copy.options["PATHS"]))["jsonpaths"]
        names = [re.sub(r"\\(.)", r"\1", path.removeprefix("$['").removesuffix("']")) for path in paths]
    for line, raw in enumerate(text.split("\n"), 1):
        if not raw.strip():
            continue
        try:
            value = json.loads(raw, parse_float=_Number, parse_int=_Number)
        except (ValueError, RecursionError):
            raise LoadError(BadRow(uri, line, "", 1216, "Invalid JSON format")) from None
        if not isinstance(value, dict):
            raise LoadError(BadRow(uri, line, "", 1216, "Invalid JSON format: an object was expected"))
        whole = json.loads(raw)  # Inside a list or an object numbers are numbers again.
        row = [_json_text(whole[name] if isinstance(cell := value.get(name), dict | list) else cell) for name in names]
        if any(cell is not None and "\0" in cell for cell in row):
            raise LoadError(BadRow(uri, line, "", 1220, "Multibyte character not supported"))
        yield line, row


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


def _json_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False)


def _bad_row(uri: str, places: list[int], error: psycopg.Error) -> BadRow:
    found = re.search(r"line (\d+)(?:, column ([^:]+))?", error.diag.context or "")
    row = int(found[1]) if found else 1
    line = places[min(row, len(places)) - 1] if places else 0
    column = (found[2] if found else None) or error.diag.column_name or ""
    return BadRow(uri, line, column, _CODES.get(error.sqlstate or "", 1216), error.diag.message_primary or "")
