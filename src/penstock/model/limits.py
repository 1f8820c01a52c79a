"""How much at once: of files in a batch, of a file in memory, of a dataset in all that is worked."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from penstock.model.declared import Declared, MisplacedError
from penstock.model.durations import Duration

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def _bytes(value: Any) -> Any:
    """`256 MiB` → 268435456. What isn't a size is left for pydantic to refuse."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+)\s*([a-zA-Z]*)", value.strip())
        if match and match[2].lower() in _UNITS:
            return int(match[1]) * _UNITS[match[2].lower()]
    return value


Size = Annotated[int, BeforeValidator(_bytes), Field(gt=0)]
"""A number of bytes, or a text such as `256 MiB`."""


class BatchLimits(Declared):
    max_files: Annotated[int, Field(gt=0, le=1000)] = Field(100, description="Most files worked as one batch.")
    max_bytes: Size = Field(256 * 2**20, description="Most bytes, as they lie in S3, worked as one batch.")


class FileLimits(Declared):
    """What a file may demand of whoever reads it; beyond it the file is quarantined, and nothing of it is loaded."""

    max_uncompressed: Size = Field(10 * 2**30, description="Most bytes that a compressed file may unpack to.")
    max_ratio: Annotated[int, Field(gt=1)] = Field(
        500, description="Most bytes that each compressed byte may unpack to, in a file that unpacks to over 8 MiB."
    )
    max_row: Annotated[Size, Field(ge=2**20, le=256 * 2**20)] = Field(
        16 * 2**20,
        description="The longest row, in bytes, 1 to 256 MiB: what bounds a reader's memory.",
    )
    max_row_group: Annotated[Size, Field(le=2**30)] = Field(
        256 * 2**20, description="Most bytes that a row group of a Parquet file may unpack to: at most 1 GiB."
    )


class Flush(Declared):
    """Files wait until one of the three is reached; then all that wait go together."""

    files: Annotated[int, Field(gt=0, le=10_000)] = Field(50, description="So many files wait.")
    bytes: Size = Field(256 * 2**20, description="So many bytes wait, as they lie in S3.")
    after: Duration = Field(
        timedelta(minutes=5),
        description="The oldest of them has waited so long, as 5m.",
        json_schema_extra={"default": "5m"},
    )


class Pace(Declared):
    """How much of it all live runs together may lease: it adapts to the destinations within these bounds."""

    min_files: Annotated[int, Field(gt=0)] = Field(
        20, description="Files that may always be leased; also what is added after a run that was quick."
    )
    max_files: Annotated[int, Field(gt=0)] = Field(1000, description="Most files that may ever be leased.")
    max_bytes: Size = Field(
        2**30, description="Most bytes at max_files, as they lie in S3; proportionally fewer at a lesser pace."
    )
    within: Duration = Field(
        timedelta(minutes=5),
        description="A run that takes longer halves what may be leased, as does one that is refused.",
        json_schema_extra={"default": "5m"},
    )

    @model_validator(mode="after")
    def _ordered(self) -> Pace:
        if self.min_files > self.max_files:
            raise MisplacedError("is more than max_files", "min_files")
        return self
