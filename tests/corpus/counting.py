"""How many rows a file has, by readers that are not Penstock's: Python's csv and json on the whole text, and DuckDB."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import re
from pathlib import Path
from tempfile import NamedTemporaryFile

import duckdb
from tests.zstandard import zstd

from penstock.model.datasets import Dataset, Format

_UNPACK = {"gz": gzip.decompress, "bz2": bz2.decompress, "zst": zstd.decompress}


def rows_of(data: bytes, key: str, dataset: Dataset) -> int:
    data = _UNPACK.get(key.rpartition(".")[2], bytes)(data)
    if dataset.format is Format.PARQUET:
        with NamedTemporaryFile() as file:
            Path(file.name).write_bytes(data)
            return int(duckdb.read_parquet(file.name).count("*").fetchall()[0][0])
    if dataset.format is Format.JSON:
        return len(json.loads(data.decode("utf-8-sig"), strict=False, parse_int=str))
    if dataset.format is Format.JSONL:
        return sum(1 for line in re.split(r"\r\n|\n|\r", data.decode("utf-8-sig")) if line.strip(" \t"))
    csv.field_size_limit(2**27)
    text = data.decode("utf-8-sig" if dataset.csv.encoding == "utf-8" else dataset.csv.encoding)
    if "\n" not in text:
        text = text.replace("\r", "\n")
    # One outside quotes ends no row where lines end in \n; csv gives up on it, and so it is a letter here.
    text = re.sub(r"\r(?!\n)", "\N{SYMBOL FOR CARRIAGE RETURN}", text)
    return sum(1 for row in csv.reader(io.StringIO(text, newline="")) if row) - dataset.csv.header
