"""From a Parquet file to rows: a row group's bytes and a piece of its rows in memory, and never the file.

pyarrow does the reading. It unzips to 170 MB, so it is brought by one function alone (docs/adr/0037) and imported where
a file is read. What this module adds is what pyarrow leaves to its caller: a schema that is held against the dataset,
limits on what a file may claim, and an operator's words for what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from penstock.model.datasets import Dataset
from penstock.model.errors import BadFileError, ReaderMissingError
from penstock.model.parquet_source import DAMAGED, MAX_FOOTER, Source, sized
from penstock.model.parquet_thrift import Footer, Group
from penstock.model.row import Row
from penstock.model.rows import column_faults
from penstock.model.streams import ByteStream

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_MAX_PIECE = 8 * 2**20
"""Bytes of rows that are unpacked at once, about."""
_MAX_ROWS = 2**16


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some rows that follow each other. `first` is the first one's number in the file, from 1."""

    first: int
    batch: pa.RecordBatch


def parquet_rows(stream: ByteStream, dataset: Dataset) -> Iterator[Row]:
    """A file's rows, each value a text or None; `line` is the row's number, `raw` the row as JSON.

    Raises BadFileError when the file as a whole can't be read, and ReaderMissingError where pyarrow is not installed.
    """
    file = _ParquetFile(stream, dataset)
    names = [column.in_file for column in dataset.columns]
    for piece in file.pieces():
        errors: dict[int, str] = {}
        texts = [_texts(piece.batch.column(name), name, errors) for name in names]
        for number, values in enumerate(zip(*texts, strict=True)):
            raw = orjson.dumps(dict(zip(names, values, strict=True))).decode()
            error = errors.get(number, "")
            yield Row(piece.first + number, raw, () if error else values, error)


def parquet_csv(stream: ByteStream, dataset: Dataset) -> Iterator[bytes]:
    """A file's rows as CSV, in the dataset's order and without a header, written without Python touching a row.

    All texts are quoted and nothing else is, so that what is null, which is nothing, differs from the empty text.
    """
    import pyarrow as pa
    from pyarrow import csv

    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    for piece in _ParquetFile(stream, dataset).pieces(texts=False):
        sink = pa.BufferOutputStream()
        csv.write_csv(piece.batch, sink, options)
        yield sink.getvalue().to_pybytes()


def parquet_footer(stream: ByteStream, dataset: Dataset) -> tuple[pa.Schema, pq.ParquetSchema, Footer]:
    """Its schema, which is the dataset's, as pyarrow has it and as Parquet does, and what it says of itself.

    Raises as `parquet_rows` does before a row.
    """
    file = _ParquetFile(stream, dataset)
    return file.schema, file.metadata.schema, file.footer


def parquet_schema(stream: ByteStream) -> dict[str, Any]:
    """The file's columns by name, each with pyarrow's type. Raises as `parquet_rows` does."""
    from penstock.model.parquet_types import plain

    return {field.name: plain(field.type) for field in _opened(Source(stream)).schema_arrow}


def _texts(array: Any, name: str, errors: dict[int, str]) -> list[str | None]:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        found: list[str | None] = array.to_pylist()
    except UnicodeDecodeError:
        found = []
        for number, value in enumerate(array.cast(pa.large_binary()).to_pylist()):
            found.append(None if value is None else value.decode(errors="replace"))
            if value is not None and found[-1].encode() != value:  # type: ignore[union-attr] # It is a text.
                errors.setdefault(number, f"column {name} holds bytes that are no UTF-8; write its texts as UTF-8")
    if pc.any(pc.match_substring(array.cast(pa.large_binary()), b"\0")).as_py():
        for number, text in enumerate(found):
            if text is not None and "\0" in text:
                errors.setdefault(
                    number, f"column {name} holds the character NUL, which a warehouse's text can't; take it out"
                )
    return found


class _ParquetFile:
    """A file whose schema is the dataset's. Raises BadFileError where it is not, or claims more than may be."""

    def __init__(self, stream: ByteStream, dataset: Dataset) -> None:
        self._dataset = dataset
        self._source = Source(stream)
        first = _opened(self._source)
        self.footer = self._source.footer
        self.schema = first.schema_arrow
        self.metadata = first.metadata
        repeated = _check_schema(first.schema_arrow, dataset)
        self._check_claims()
        self._source.max_row_group = dataset.limits.max_row_group
        # A text that is written once and repeated a million times is a dictionary here too, and no bomb.
        self._file = _opened(self._source, metadata=first.metadata, read_dictionary=repeated)

    def pieces(self, *, texts: bool = True) -> Iterator[_Piece]:
        """The rows, of the dataset's columns in its order; `texts` as in `parquet_types.values_of`."""
        from penstock.model.parquet_types import values_of

        read = unpacked = 0
        columns = self._dataset.columns
        for number, group in enumerate(self.footer.groups):
            batches = self._file.iter_batches(
                _rows_at_once(group), [number], [column.in_file for column in columns], use_threads=False
            )
            seen = 0
            while True:
                with self._source.translated(f"row group {number} can't be read"):
                    batch = next(batches, None)
                if batch is None:
                    break
                for part in self._parts(batch, number):
                    with self._source.translated(f"row group {number} holds values that can't be read"):
                        arrays = [values_of(part.column(one.in_file), one, texts=texts) for one in columns]
                        names = [one.in_file for one in columns]
                        piece = _record_batch(arrays, names)
                    unpacked += piece.nbytes
                    self._check_total(unpacked)
                    yield _Piece(read + seen + 1, piece)
                    seen += part.num_rows
            if seen != group.rows:
                raise BadFileError(f"row group {number} holds {seen} rows, and the footer says {group.rows}: {DAMAGED}")
            read += seen

    def _parts(self, batch: pa.RecordBatch, group: int) -> Iterator[pa.RecordBatch]:
        """The rows in parts that stay small when repeated texts are written out."""
        import pyarrow as pa
        import pyarrow.compute as pc

        longest = 0
        for column in batch.columns:
            if pa.types.is_dictionary(column.type) and len(column.dictionary):
                length = pc.max(pc.binary_length(column.dictionary)).as_py() if _is_measured(column) else None
                longest += length or 0
        if longest > self._dataset.limits.max_row:
            raise BadFileError(
                f"row group {group} holds texts that make a row longer than {sized(self._dataset.limits.max_row)}. "
                "Mend the file, or raise limits: max_row of the dataset"
            )
        step = max(1, min(batch.num_rows, _MAX_PIECE // max(longest, 1))) if batch.num_rows else 1
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)

    def _check_claims(self) -> None:
        limits = self._dataset.limits
        total = 0
        if len(self.footer.groups) != self.metadata.num_row_groups:
            raise BadFileError(f"the Parquet file's footer can't be read: {DAMAGED}")
        for number, group in enumerate(self.footer.groups):
            if len(group.chunks) != self.metadata.num_columns:
                raise BadFileError(f"row group {number} has not the columns of the file's schema: {DAMAGED}")
            size = max(group.size, sum(chunk.unpacked for chunk in group.chunks))
            packed = sum(chunk.packed for chunk in group.chunks)
            least = min((0, *(min(chunk.start, chunk.packed, chunk.unpacked) for chunk in group.chunks)))
            if min(group.rows, size, packed, least) < 0:
                raise BadFileError(f"row group {number} says that it is smaller than nothing: {DAMAGED}")
            if packed > self._source.size:
                raise BadFileError(f"row group {number} says that it is larger than the file: {DAMAGED}")
            if size > limits.max_row_group:
                raise BadFileError(
                    f"row group {number} unpacks to more than {sized(limits.max_row_group)}, and it is "
                    "what is held in memory. Write the file in smaller row groups, or raise limits: max_row_group of "
                    "the dataset and MemorySize of WorkParquet in template.yaml"
                )
            total += size
        self._check_total(total)

    def _check_total(self, unpacked: int) -> None:
        most = self._dataset.limits.max_uncompressed
        if unpacked > most:
            raise BadFileError(
                f"the file unpacks to more than {sized(most)}; split it, "
                "or raise limits: max_uncompressed of the dataset"
            )


def _check_schema(schema: pa.Schema, dataset: Dataset) -> list[str]:
    """The names of the columns that hold texts. Raises BadFileError where the schema is not the dataset's."""
    from penstock.model.parquet_types import described, fits, is_text, plain

    problems = column_faults(schema.names, dataset)
    texts = []
    for column in dataset.columns:
        if schema.names.count(column.in_file) != 1:
            continue
        type_ = plain(schema.field(column.in_file).type)
        if not fits(type_, column.type):
            there = f"{described(type_)} in the file"
            problems.append(f"column {column.in_file} is {there}, and {column.type} in the dataset")
        if is_text(type_):
            texts.append(column.in_file)
    if problems:
        more = f"; and {len(problems) - 6} more" if len(problems) > 6 else ""
        raise BadFileError(
            f"the Parquet file's schema is not the dataset's: {'; '.join(problems[:6])}{more}. Mend the file, or "
            f"change dataset {dataset.name}"
        )
    return texts


def _opened(source: Source, **more: Any) -> pq.ParquetFile:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ReaderMissingError(
            "Parquet is read by pyarrow, which is not installed. Run in Penstock's folder: pip install -e '.[parquet]'."
            " On AWS the function WorkParquet brings it"
        ) from None

    source.check()
    with source.translated("the Parquet file's footer can't be read"):
        return pq.ParquetFile(
            pa.PythonFile(source, "r"),
            pre_buffer=True,
            thrift_string_size_limit=MAX_FOOTER,
            thrift_container_size_limit=1_000_000,
            **more,
        )


def _record_batch(arrays: list[Any], names: list[str]) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays(arrays, names=names)


def _rows_at_once(group: Group) -> int:
    row = max(1, group.size // max(1, group.rows))
    return int(min(_MAX_ROWS, max(1, _MAX_PIECE // row)))


def _is_measured(column: Any) -> bool:
    from penstock.model.parquet_types import is_text

    return is_text(column.type.value_type)
