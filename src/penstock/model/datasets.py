"""A dataset: one kind of file, with one destination table, one index, or both.

The models here are `datasets/<name>.yaml` exactly; `penstock.model.dataset_files` reads them and says file and line of
what it refuses. Their JSON Schema (`datasets/dataset.schema.json`) is what editors complete from.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from penstock.model.arrivals import UNCLAIMED
from penstock.model.declared import Declared, MisplacedError
from penstock.model.durations import Duration
from penstock.model.limits import BatchLimits, FileLimits, Flush, Pace

LINEAGE = ("penstock_arrival", "penstock_loaded_at")
"""Columns of every table and fields of every document: the arrival's id, and when the row was loaded."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""What is a name in S3, SQL and OpenSearch alike: lower case, digits, underscores, at most 63."""


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    JSON = "json"
    """One array of objects."""
    PARQUET = "parquet"


class Compression(StrEnum):
    AUTO = "auto"
    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    BZIP2 = "bzip2"

    @classmethod
    def by_name(cls, name: str) -> Compression:
        """What a file's name says by its ending."""
        _, dot, ending = name.lower().rpartition(".")
        return _ENDINGS.get(ending, cls.NONE) if dot else cls.NONE


_ENDINGS = {
    "gz": Compression.GZIP,
    "gzip": Compression.GZIP,
    "zst": Compression.ZSTD,
    "zstd": Compression.ZSTD,
    "bz2": Compression.BZIP2,
    "bzip2": Compression.BZIP2,
}


class ColumnType(StrEnum):
    TEXT = "text"
    SMALLINT = "smallint"
    INTEGER = "integer"
    BIGINT = "bigint"
    NUMERIC = "numeric"
    REAL = "real"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    UUID = "uuid"
    JSON = "json"


class OnOverwrite(StrEnum):
    """What a new version of a key with other content does to the rows of the version before it."""

    APPEND = "append"
    REPLACE = "replace"
    REFUSE = "refuse"


class DateOrder(StrEnum):
    """The order of the numbers of a date that does not begin with a year of four digits."""

    YMD = "ymd"
    MDY = "mdy"
    DMY = "dmy"


class Column(Declared):
    name: Name = Field(description="The column in the table and the field in the document.")
    type: ColumnType = Field(description="Its type in the warehouse.")
    source: str | None = Field(None, description="Its name in the file's header or JSON object, where that differs.")
    required: bool = Field(False, description="Refuse rows in which it is null (NOT NULL in the table).")

    @property
    def in_file(self) -> str:
        return self.source or self.name


class Csv(Declared):
    """The dialect of a CSV file."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: Annotated[str, Field(min_length=1, max_length=1)] = '"'
    escape: Annotated[str, Field(min_length=1, max_length=1)] = Field('"', description="The quote itself: doubled.")
    header: bool = Field(True, description="The first line names the columns; their order is then free.")
    encoding: Literal["utf-8", "latin-1", "windows-1252"] = "utf-8"

    @model_validator(mode="after")
    def _apart(self) -> Csv:
        if self.delimiter in (self.quote, self.escape) or {self.delimiter, self.quote, self.escape} & set("\r\n"):
            raise ValueError("delimiter, quote and escape can't be a line end, and the delimiter differs from both")
        if not (self.delimiter + self.quote + self.escape).isascii():
            raise ValueError("delimiter, quote and escape are single ASCII characters")
        return self


class Table(Declared):
    """The table that the rows are loaded into: `schema.name`, or `name` in schema `public`."""

    schema_name: Name = Field("public", alias="schema")
    name: Name

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            schema, dot, name = value.rpartition(".")
            return {"schema": schema, "name": name} if dot else {"name": name}
        return value

    @property
    def qualified(self) -> str:
        """`schema.name`, for people and for the load ledger; never put into SQL by hand."""
        return f"{self.schema_name}.{self.name}"


class Index(Declared):
    """The search index that the documents go to."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,200}$")]
    id_columns: tuple[Name, ...] = Field(
        (), description="Columns that identify a document. None: its arrival and position do."
    )
    fields: tuple[Name, ...] = Field((), description="Columns that become fields. None: all of them.")


class Upsert(Declared):
    """Rows with the same key are one row of the table: the newest, whatever order they were loaded in."""

    key: Annotated[tuple[Name, ...], Field(min_length=1)] = Field(description="Columns that identify a row.")
    order_by: Name = Field(description="A row takes another's place where it is greater here; of equals the later put.")


class KickOff(Declared):
    """What to start when a run has loaded something of this dataset: one of the three."""

    rebuild_views: Literal[True] | None = Field(None, description="Rebuild the views that are made of it (views/).")
    data_pipeline: Literal[True] | None = Field(None, description="Activate the stack's AWS Data Pipeline.")
    state_machine: str | None = Field(None, description="The name of a state machine of this account to start.")
    parameters: dict[str, str] = Field(default_factory=dict, description="Handed on as parameter values or input.")

    @model_validator(mode="after")
    def _one(self) -> KickOff:
        if sum(one is not None for one in (self.rebuild_views, self.data_pipeline, self.state_machine)) != 1:
            raise ValueError("name exactly one of rebuild_views, data_pipeline and state_machine")
        return self


class Dataset(Declared):
    """`datasets/<name>.yaml`."""

    name: Name = Field(description="The dataset's name; also the file's.")
    version: Annotated[int, Field(ge=1)] = Field(1, description="This definition's version; raise it with each change.")
    prefix: str = Field(description="Keys below incoming/ that are its files, as `flights/`.")
    format: Format
    compression: Compression = Field(Compression.AUTO, description="auto: by the key's ending (.gz, .zst, .bz2).")
    csv: Csv = Field(default_factory=Csv)
    date_order: DateOrder = Field(
        DateOrder.YMD, description="How 01/02/2023 is read: ymd refuses it, mdy and dmy say which number is the month."
    )
    null_markers: tuple[str, ...] = Field(("",), description="Texts that mean NULL, in CSV files.")
    columns: tuple[Column, ...] = Field((), description="The columns, in the table's order.")
    infer: bool = Field(False, description="Take the columns from `sample` in place of naming them.")
    sample: str | None = Field(None, description="With infer: a file beside this one, at most 1 MiB of it is read.")
    table: Table | None = None
    index: Index | None = None
    batch: BatchLimits = Field(default_factory=BatchLimits)
    limits: FileLimits = Field(default_factory=FileLimits)
    flush: Flush | None = Field(None, description="Gather files and work them together. None: at once.")
    pace: Pace | None = Field(None, description="Adapt to what the destinations take. None: the stack's limits alone.")
    expect_every: Duration | None = Field(None, description="An alarm rings when nothing arrives for so long, as 1h.")
    kick_off: KickOff | None = None
    on_overwrite: OnOverwrite = Field(OnOverwrite.APPEND, description="What a key put again with other content does.")
    upsert: Upsert | None = Field(None, description="Merge rows by key into the table, in place of adding them.")
    event_id: Name | None = Field(
        None, description="The column that tells events apart: each is loaded once, however often it comes."
    )
    max_reject_ratio: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Share of a file's rows that may be rejected; above it the file is quarantined whole."
    )

    @field_validator("index", mode="before")
    @classmethod
    def _short_index(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, value: str) -> str:
        if value == UNCLAIMED:
            raise ValueError(f"{UNCLAIMED} is Penstock's own")
        return value

    @field_validator("prefix")
    @classmethod
    def _a_folder(cls, value: str) -> str:
        if not value.endswith("/") or value.startswith("/") or "//" in value:
            raise ValueError("a prefix is a folder below incoming/: it ends with / and does not begin with one")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Dataset:
        if self.table is None and self.index is None:
            raise ValueError("a dataset has a table, an index, or both")
        if self.infer == bool(self.columns):
            raise MisplacedError("name the columns, or set infer: true, not both", "infer")
        if self.infer and not self.sample:
            raise MisplacedError("true wants a sample to infer from, as sample: samples/one.csv", "infer")
        if self.format is Format.CSV and not self.null_markers:
            raise MisplacedError('null_markers names at least one text; the default is [""]', "null_markers")
        if self.format is Format.PARQUET:
            self._check_parquet()
        _unique("name", [column.name for column in self.columns])
        _unique("source", [column.in_file for column in self.columns])
        known = {column.name for column in self.columns}
        for number, column in enumerate(self.columns):
            if column.name in LINEAGE:
                raise MisplacedError(f"{column.name} is Penstock's own lineage", "columns", number, "name")
        if self.index and self.columns:
            for part, names in (("id_columns", self.index.id_columns), ("fields", self.index.fields)):
                for number, name in enumerate(names):
                    if name not in known:
                        raise MisplacedError(f"{name} is no column of the dataset", "index", part, number)
        if self.row_key:
            self._check_row_key("upsert" if self.upsert else "event_id")
        return self

    def _check_parquet(self) -> None:
        if self.infer:
            raise MisplacedError("penstock infer FILE.parquet writes the columns: no function could read it", "infer")
        if self.compression not in (Compression.AUTO, Compression.NONE):
            raise MisplacedError("a Parquet file compresses its columns itself: leave it out", "compression")

    def _check_row_key(self, by: str) -> None:
        if self.upsert and self.event_id:
            raise MisplacedError("upsert tells rows apart by its key: say one of the two", "event_id")
        if self.table is None:
            raise MisplacedError("rows are merged into a table, and the dataset has none", by)
        if self.index is not None and set(self.index.id_columns) != set(self.row_key):
            key = ", ".join(self.row_key)
            raise MisplacedError(f"a document takes another's place as its row does: say id_columns: [{key}]", "index")
        if self.on_overwrite is OnOverwrite.REPLACE:
            raise MisplacedError(f"replace would delete rows by file, and {by} keeps them by key", "on_overwrite")
        by_name = {column.name: column for column in self.columns}
        wanted: list[tuple[tuple[str | int, ...], str]] = [(("event_id",), self.event_id)] if self.event_id else []
        if self.upsert:
            wanted += [(("upsert", "key", number), name) for number, name in enumerate(self.upsert.key)]
            wanted.append((("upsert", "order_by"), self.upsert.order_by))
        for at, name in wanted:
            if not self.columns:
                break  # They are inferred, and checked then.
            if name not in by_name:
                raise MisplacedError(f"{name} is no column of the dataset", *at)
            if not by_name[name].required:
                raise MisplacedError(f"{name} can be null, and null can't be compared: say required: true", *at)
            if by_name[name].type is ColumnType.JSON:
                raise MisplacedError(f"{name} is JSON, which can't be compared", *at)

    @property
    def row_key(self) -> tuple[str, ...]:
        """Columns that no two rows of the table are equal in; none where rows are only added."""
        if self.upsert:
            return self.upsert.key
        return (self.event_id,) if self.event_id else ()

    @property
    def document_columns(self) -> tuple[Column, ...]:
        """The columns that become fields of a document, in the dataset's order."""
        if self.index is None:
            return ()
        wanted = set(self.index.fields or (column.name for column in self.columns))
        return tuple(column for column in self.columns if column.name in wanted)

    def rejects_allowed(self, rows: int) -> int:
        """How many of a file's `rows` may be rejected: as the ratio is written, 0.29 of 100 being 29."""
        return int(Decimal(str(self.max_reject_ratio)) * rows)

    def compression_of(self, key: str) -> Compression:
        """How the file at `key` is compressed: what the dataset says, or for `auto` the key's ending.

        A Parquet file is not: its columns are, one by one.
        """
        if self.format is Format.PARQUET:
            return Compression.NONE
        if self.compression is not Compression.AUTO:
            return self.compression
        return Compression.by_name(key)


def _unique(what: str, names: list[str]) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            raise MisplacedError(f"{name} is taken by column {names.index(name)}", "columns", number, what)
