"""From decompressed bytes to rows: the one reader of files, for the search branch and for the warehouse's slow path.

CSV is read here, by Python's own csv module. What this adds is what that leaves to its caller: the row's text as it
stands in the file, the physical line on which it begins, and an operator's words for what is wrong.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from penstock.model.datasets import Column, Csv, Dataset, Format
from penstock.model.errors import BadFileError
from penstock.model.first_bytes import BLOCK
from penstock.model.json_rows import array_rows, json_rows
from penstock.model.row import Row
from penstock.model.streams import ByteStream
from penstock.model.text_lines import Lines

__all__ = ["Row", "column_faults", "dialect_of", "header_columns", "rows"]


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
    return (array_rows if dataset.format is Format.JSON else json_rows)(stream, dataset)


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
    lines = Lines(stream, dataset.csv.encoding, dataset.limits.max_row)
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


def _csv_words(error: csv.Error) -> str:
    text = str(error)
    if "new-line character" in text:
        return "there is a carriage return outside quotes; quote the value, or end lines with LF or CRLF"
    return f"no valid CSV: {text}"


def _shown(name: str) -> str:
    """A column's name from a file, fit for a message: a headerless file's first row must not fill a log."""
    return name if name.isprintable() and 0 < len(name) <= 63 else repr(name[:40])
