"""The two error roots.

A state machine matches error names exactly and knows no inheritance, so a handler raises the root itself
(`penstock.handler`): `TransientError` is retried with backoff and full jitter, `PermanentError` is caught at once.
"""

from __future__ import annotations

import re


class PenstockError(Exception):
    """What every error of Penstock's own is. Its text is read by an operator: what, where, why, and what to do now.

    A message names keys, tables and ids; never a row's content and never a secret (invariant 5).
    """


class TransientError(PenstockError):
    """The same call may succeed later: a throttle, a lost connection, a lock that timed out."""


WAREHOUSE, SEARCH = "warehouse", "search"
"""The destinations' names, as they stand in errors, breakers and metrics."""

_DOWN = re.compile(rf"the ({WAREHOUSE}|{SEARCH}) is down(?: for dataset (\S+))?: ")


class DestinationDownError(TransientError):
    """A destination can't be used as a whole: it answers nobody, lets nobody in, or is full. It is no file's fault.

    With `dataset`, for that one alone: its table is missing, or refuses whoever loads. `destination` is then
    `part_of` the two. It leaves a function as TransientError, in whose text `down_in` finds the destination again.
    """

    def __init__(self, destination: str, reason: str, dataset: str = "") -> None:
        super().__init__(f"the {destination} is down{f' for dataset {dataset}' if dataset else ''}: {reason}")
        self.destination = part_of(destination, dataset)


def part_of(destination: str, dataset: str) -> str:
    """What of a destination one dataset goes to, as in `warehouse/flights`: it can be down by itself."""
    return f"{destination}/{dataset}" if dataset else destination


def down_in(text: str) -> str:
    """The destination, or the part of it, that the text of a DestinationDownError names; empty for any other text."""
    found = _DOWN.match(text)
    return part_of(found[1], found[2] or "") if found else ""


class PermanentError(PenstockError):
    """The same call fails again however often it is made: a missing table, a refused permission, a bad definition."""


class BadFileError(PermanentError):
    """One file can't be worked, and it is the file's fault; the reason is the text. Its neighbours are not touched."""


class ReaderMissingError(PermanentError):
    """What reads a file's format is not in this function: no file's fault, and another function's work."""


class DatasetError(PermanentError):
    """A dataset's definition is refused; the text begins with file and line."""
