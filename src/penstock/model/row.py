"""What every reader makes of a file, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
