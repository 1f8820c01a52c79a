"""What a case of the corpus is: a file, the dataset that it is put to, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


class Rejected(NamedTuple):
    """A row that is not loaded: the line on which it begins, the column at fault ("" when it is the row), and why."""

    line: int
    column: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """`rows` are loaded and `rejects` are not; or the file is quarantined whole, for `reason`."""

    rows: int = 0
    rejects: tuple[Rejected, ...] = ()
    reason: str = ""


def loads(rows: int, *rejects: tuple[int, str, str]) -> Outcome:
    return Outcome(rows, tuple(Rejected(*reject) for reject in rejects))


def quarantines(reason: str, *rejects: tuple[int, str, str]) -> Outcome:
    return Outcome(0, tuple(Rejected(*reject) for reject in rejects), reason)


@dataclass(frozen=True)
class Case:
    """`what` says what is wrong with the file, and names the case. `file` is its bytes, or what makes them.

    `key` is its name below the dataset's prefix; "" leaves it to the corpus.
    """

    what: str
    file: bytes | Callable[[], bytes]
    outcome: Outcome
    dataset: str = "people"
    key: str = ""

    @property
    def data(self) -> bytes:
        return self.file() if callable(self.file) else self.file
