"""What a user declares in a YAML file: a strict model, and a fault in it that knows its place."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Declared(BaseModel):
    """Refuses what it doesn't know, so that a misspelt field is no silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MisplacedError(ValueError):
    """A fault that a check over a whole model found in one part of it: `at` is the path to that part."""

    def __init__(self, message: str, *at: int | str) -> None:
        super().__init__(message)
        self.at = at
