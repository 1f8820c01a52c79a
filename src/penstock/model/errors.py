"""The two error roots.

A state machine matches error names exactly and knows no inheritance, so a handler raises the root itself
(`penstock.handler`): `TransientError` is retried with backoff and full jitter, `PermanentError` is caught at once.
"""

from __future__ import annotations


class PenstockError(Exception):
    """What every error of Penstock's own is. Its text is read by an operator: what, where, why, and what to do now.

    A message names keys, tables and ids; never a row's content and never a secret (invariant 5).
    """


class TransientError(PenstockError):
    """The same call may succeed later: a throttle, a lost connection, a lock that timed out."""


WAREHOUSE, SEARCH = "warehouse", "search"
"""The destinations' names, as they stand in errors, breakers and metrics."""

_DOWN = "the {} is down: "


class DestinationDownError(TransientError):
    """A destination can't be used as a whole: it answers nobody, lets nobody in, or is full. It is no file's fault.

    It leaves a function as TransientError, in whose text `down_in` finds the destination again.
    """

    def __init__(self, destination: str, reason: str) -> None:
        super().__init__(f"{_DOWN.format(destination)}{reason}")
        self.destination = destination


def down_in(text: str) -> str:
    """The destination that the text of a DestinationDownError names; empty for any other text."""
    return next((name for name in (WAREHOUSE, SEARCH) if text.startswith(_DOWN.format(name))), "")


class PermanentError(PenstockError):
    """The same call fails again however often it is made: a missing table, a refused permission, a bad definition."""


class BadFileError(PermanentError):
    """One file can't be worked, and it is the file's fault; the reason is the text. Its neighbours are not touched."""


class DatasetError(PermanentError):
    """A dataset's definition is refused; the text begins with file and line."""
