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


class PermanentError(PenstockError):
    """The same call fails again however often it is made: a missing table, a refused permission, a bad definition."""


class BadFileError(PermanentError):
    """One file can't be worked, and it is the file's fault; the reason is the text. Its neighbours are not touched."""


class DatasetError(PermanentError):
    """A dataset's definition is refused; the text begins with file and line."""
