"""Parquet files of dataset `tables`, as the cases bend them."""

from __future__ import annotations

import base64
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

TYPES = {
    "id": pa.int32(),
    "name": pa.string(),
    "born": pa.date32(),
    "sum": pa.decimal128(10, 2),
    "at": pa.timestamp("us", "UTC"),
    "data": pa.struct([("tags", pa.list_(pa.string()))]),
}
"""As `parquet` writes them."""


def parquet(more: dict[str, Any] | None = None, without: str = "", **write: Any) -> bytes:
    """Two good rows of dataset `tables`, with these columns in the place of its own."""
    columns: dict[str, Any] = {
        "id": pa.array([1, 2], pa.int32()),
        "name": ["Ada", None],
        "born": pa.array([date(1815, 12, 10), None]),
        "sum": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
        "at": pa.array([datetime(2024, 2, 29, 13, 30, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
        "data": pa.array([{"tags": ["a"]}, None]),
        **(more or {}),
    }
    columns.pop(without, None)
    return written(columns, **write)


def written(columns: dict[str, Any], **write: Any) -> bytes:
    """`write` is as pyarrow's `write_table` has it."""
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **write)
    return file.getvalue()


def lying(data: bytes, said: int, instead: int, *, last: bool = False) -> bytes:
    """The file with a number of its footer changed, wherever it stands there or the last time; no byte is moved."""
    size = int.from_bytes(data[-8:-4], "little")
    body, footer, tail = data[: -8 - size], data[-8 - size : -8], data[-8:]
    old, new = _varint(said), _varint(instead)
    new = bytes([*(byte | 128 for byte in new[:-1]), *([new[-1] | 128] if len(new) < len(old) else [new[-1]])])
    new += b"\x80" * (len(old) - len(new) - 1) + (b"\0" if len(new) < len(old) else b"")
    if not last:
        return body + footer.replace(old, new) + tail
    before, _, after = footer.rpartition(old)
    return body + before + new + after + tail


def _varint(number: int) -> bytes:
    """A number as a footer has it, Thrift's zigzag."""
    number *= 2
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def unpacks_to(data: bytes, size: int) -> bytes:
    """The file, whose footer says that its first row group, and each column of it, unpacks to `size` bytes."""
    group = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0)
    said = {group.total_byte_size, *(group.column(place).total_uncompressed_size for place in range(group.num_columns))}
    for one in said:
        if one > size:
            data = lying(data, one, size)
    return data


@cache
def encrypted(*, footer: bool) -> bytes:
    """Its column `name` is, and its footer with it or not. No two are alike."""

    class Keys(pe.KmsClient):  # type: ignore[misc] # pyarrow has no types.
        def wrap_key(self, key: bytes, _name: str) -> bytes:
            return base64.b64encode(key)

        def unwrap_key(self, key: bytes, _name: str) -> bytes:
            return base64.b64decode(key)

    wanted = pe.EncryptionConfiguration(footer_key="a", column_keys={"b": ["name"]}, plaintext_footer=not footer)
    factory = pe.CryptoFactory(lambda _: Keys())
    return parquet(encryption_properties=factory.file_encryption_properties(pe.KmsConnectionConfig(), wanted))
