"""What can be wrong with Parquet. It has no lines: a reject's is the row's number in its file."""

# ruff: noqa: E501 - a reason stands on one line, as the operator sees it

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from tests.corpus.case import Case, Outcome, loads, quarantines
from tests.corpus.parquet_files import TYPES, encrypted, lying, parquet, unpacks_to

DAMAGED = "the file is damaged, or not all of it has arrived; send it again"
KEPT_QUIET = (
    "the pages of row group 0 say that they unpack to {} bytes: its footer says less, and limits: max_row_group of the dataset is 1 MiB. Nothing of them was unpacked. "
    "The file is damaged, or made to fill a worker's memory: ask its producer, and send it again"
)
MEND = "Mend the file, or change dataset tables"


def of(what: str, file: Callable[[], bytes], outcome: Outcome, dataset: str = "tables") -> Case:
    return Case(f"Parquet: {what}", file, outcome, dataset)


def not_the_datasets(problem: str) -> Outcome:
    return quarantines(f"the Parquet file's schema is not the dataset's: {problem}. {MEND}")


def _cut(data: bytes, at: int) -> bytes:
    return data[:at]


def _rotten() -> bytes:
    """A page's bytes are turned over; its header and the footer are whole."""
    data = bytearray(parquet({"name": ["Ada" * 1000, "Bob" * 1000]}, compression="zstd", use_dictionary=False))
    at = data.index(b"\x28\xb5\x2f\xfd") + 4
    data[at : at + 8] = bytes(255 - byte for byte in data[at : at + 8])
    return bytes(data)


def _footer(length: int) -> bytes:
    data = parquet()
    return data[:-8] + length.to_bytes(4, "little") + b"PAR1"


def _thrift_bomb() -> bytes:
    """A footer whose list says that it has two billion elements."""
    footer = b"\x15\x02\x29\xfc\xff\xff\xff\xff\x07"
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def _repeated() -> bytes:
    """One text of a MiB, a million times."""
    rows = 2**20
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["A" * 2**20]))
    return parquet(
        {name: pa.nulls(rows, type_) for name, type_ in (("born", pa.date32()), ("sum", pa.decimal128(10, 2)))}
        | {"at": pa.nulls(rows, pa.timestamp("us", "UTC")), "data": pa.nulls(rows, pa.string())}
        | {"id": pa.array(range(rows), pa.int32()), "name": texts},
        compression="zstd",
    )


def _miscounting() -> bytes:
    """The row group's own number, which stands behind its columns'."""
    rows = {name: pa.nulls(1000, type_) for name, type_ in TYPES.items()}
    return lying(parquet({**rows, "id": pa.array(range(1000), pa.int32())}), 1000, 1001, last=True)


def _bomb(**write: Any) -> bytes:
    """Two MiB of one letter, in a page of some hundred bytes."""
    file = parquet({"name": ["A" * 2**21, None]}, compression="zstd", write_statistics=False, **write)
    return unpacks_to(file, 1000)


def _larger_than_a_row_may_be() -> bytes:
    return parquet({"name": ["A" * (17 * 2**20), None]}, compression="zstd")


CASES = (
    of("columns in another order", lambda: parquet({"id": pa.array([1, 2], pa.int32())}), loads(2)),
    of("no row", lambda: parquet({name: pa.nulls(0, type_) for name, type_ in TYPES.items()}), loads(0)),
    of("many row groups", lambda: parquet(row_group_size=1), loads(2)),
    of("a column of dictionaries", lambda: parquet({"name": pa.array(["Ada", None]).dictionary_encode()}), loads(2)),
    of("texts for a date", lambda: parquet({"born": ["1815-12-10", None]}), loads(2)),
    of("integers of 64 bits that fit", lambda: parquet({"id": pa.array([1, 2], pa.int64())}), loads(2)),
    of("nanoseconds", lambda: parquet({"at": pa.array([1, 2], pa.timestamp("ns", "UTC"))}), loads(2)),
    of(
        "a moment of another zone",
        lambda: parquet({"at": pa.array([1, 2], pa.timestamp("ms", "Asia/Tokyo"))}),
        loads(2),
    ),
    of("a text with line ends and quotes", lambda: parquet({"name": ['a"\n\\.\n,', ""]}), loads(2)),
    of(
        "an integer that is out of range",
        lambda: parquet({"id": pa.array([1, 2**40])}),
        loads(
            1, (2, "id", "value is out of range for type integer; write a whole number from -2147483648 to 2147483647")
        ),
    ),
    of(
        "null in a required column",
        lambda: parquet({"id": pa.array([None, 2], pa.int32())}),
        loads(
            1,
            (
                1,
                "id",
                "it is null, and the column is required; fill it, or take `required` out of the dataset's column",
            ),
        ),
    ),
    of(
        "a text that is no date",
        lambda: parquet({"born": [None, "yes"]}),
        loads(1, (2, "born", "invalid input syntax for type date; write it as 2024-02-29")),
    ),
    of(
        "a text that says today",
        lambda: parquet({"born": [None, "today"]}),
        loads(
            1,
            (2, "born", "a word such as today or infinity stands where a date should; write the date, as 2024-02-29"),
        ),
    ),
    of(
        "a text that is no JSON",
        lambda: parquet({"data": ["{}", "{"]}),
        loads(1, (2, "data", "invalid input syntax for type json; write valid JSON, or make the column text")),
    ),
    of(
        "the character NUL",
        lambda: parquet({"name": ["A\0a", "Bob"]}),
        loads(1, (1, "", "column name holds the character NUL, which a warehouse's text can't; take it out")),
    ),
    of(
        "bytes that are no UTF-8 in a text",
        lambda: parquet({"name": pa.array([b"\xff", b"Bob"]).view(pa.string())}),
        loads(1, (1, "", "column name holds bytes that are no UTF-8; write its texts as UTF-8")),
    ),
    of("a column missing", lambda: parquet(without="sum"), not_the_datasets("column sum is missing")),
    of("a column too many", lambda: parquet({"more": [1, 2]}), not_the_datasets("column more is not in the dataset")),
    of(
        "a column of bytes",
        lambda: parquet({"name": [b"a", b"b"]}),
        not_the_datasets("column name is binary in the file, and text in the dataset"),
    ),
    of(
        "a fraction for an integer",
        lambda: parquet({"id": [1.0, 2.0]}),
        not_the_datasets("column id is double in the file, and integer in the dataset"),
    ),
    of(
        "a time without a zone for a moment",
        lambda: parquet({"at": pa.array([1, 2], pa.timestamp("us"))}),
        not_the_datasets("column at is timestamp[us] in the file, and timestamptz in the dataset"),
    ),
    of(
        "a list for a text",
        lambda: parquet({"name": [["a"], []]}),
        not_the_datasets("column name is list in the file, and text in the dataset"),
    ),
    of(
        "a struct for a text",
        lambda: parquet({"name": [{"first": "Ada"}, None]}),
        not_the_datasets("column name is struct in the file, and text in the dataset"),
    ),
    of(
        "encrypted",
        lambda: encrypted(footer=True),
        quarantines(
            "the Parquet file is encrypted, and Penstock has no keys to it; send it without Parquet's own encryption (S3 encrypts what lies there)"
        ),
    ),
    of(
        "columns encrypted, and the footer not",
        lambda: encrypted(footer=False),
        quarantines(
            "columns of the Parquet file are encrypted, and Penstock has no keys to it; send it without Parquet's own encryption (S3 encrypts what lies there)"
        ),
    ),
    of(
        "a footer that counts more rows than there are",
        _miscounting,
        quarantines(f"row group 0 holds 1000 rows, and the footer says 1001: {DAMAGED}"),
    ),
    of(
        "a page that unpacks to more than its footer says",
        lambda: _bomb(use_dictionary=False),
        quarantines(KEPT_QUIET.format("2,097,230")),
        "narrow",
    ),
    of(
        "a dictionary that unpacks to more than its footer says",
        _bomb,
        quarantines(KEPT_QUIET.format("2,097,248")),
        "narrow",
    ),
    of("an empty file", lambda: b"", quarantines("the file is empty: there is not even a footer; send it again")),
    of(
        "CSV",
        lambda: b"id,name\n1,Ada\n",
        quarantines(
            "the file is no Parquet, though its dataset says so: it does not begin with PAR1. Send Parquet, or change the dataset's format"
        ),
    ),
    of(
        "cut off",
        lambda: _cut(parquet(), 400),
        quarantines("the Parquet file ends early: the upload was cut off; send the file again"),
    ),
    of(
        "cut off in the first bytes",
        lambda: b"PAR1",
        quarantines("the Parquet file ends early: the upload was cut off; send the file again"),
    ),
    of(
        "a footer that says that it is larger than the file",
        lambda: _footer(2**31),
        quarantines(f"the Parquet file's footer says that it is larger than the file: {DAMAGED}"),
    ),
    of(
        "a footer that is damaged",
        lambda: _footer(40),
        quarantines(f"the Parquet file's footer can't be read: {DAMAGED}"),
    ),
    of(
        "a footer with a list of two billion",
        _thrift_bomb,
        quarantines(f"the Parquet file's footer can't be read: {DAMAGED}"),
    ),
    of("a page that is damaged", _rotten, quarantines(f"row group 0 can't be read: {DAMAGED}")),
    of(
        "a row group larger than limits: max_row_group",
        lambda: parquet({"name": ["A" * 2**21, None]}, compression="zstd"),
        quarantines(
            "row group 0 unpacks to more than 1 MiB, and it is what is held in memory. Write the file in smaller row groups, or raise limits: max_row_group of the dataset and MemorySize of WorkParquet in template.yaml"
        ),
        "narrow",
    ),
    of(
        "a text of a MiB, a million times",
        _repeated,
        quarantines("the file unpacks to more than 64 MiB; split it, or raise limits: max_uncompressed of the dataset"),
    ),
    of(
        "a text longer than limits: max_row",
        _larger_than_a_row_may_be,
        quarantines(
            "row group 0 holds texts that make a row longer than 16 MiB. Mend the file, or raise limits: max_row of the dataset"
        ),
    ),
)
