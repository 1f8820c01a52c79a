"""How many rows a file has, by readers that are not Penstock's: Python's csv and json modules on the whole text."""

from __future__ import annotations

import csv
import gzip
import io
import re

from penstock.model.datasets import Dataset, Format


def rows_of(data: bytes, key: str, dataset: Dataset) -> int:
    if key.endswith(".gz"):
        data = gzip.decompress(data)
    if dataset.format is Format.JSONL:
        return sum(1 for line in re.split(r"\r\n|\n|\r", data.decode("utf-8-sig")) if line.strip(" \t"))
    csv.field_size_limit(2**27)
    text = data.decode("utf-8-sig" if dataset.csv.encoding == "utf-8" else dataset.csv.encoding)
    if "\n" not in text:
        text = text.replace("\r", "\n")
    # One outside quotes ends no row where lines end in \n; csv gives up on it, and so it is a letter here.
    text = re.sub(r"\r(?!\n)", "\N{SYMBOL FOR CARRIAGE RETURN}", text)
    return sum(1 for row in csv.reader(io.StringIO(text, newline="")) if row) - dataset.csv.header
