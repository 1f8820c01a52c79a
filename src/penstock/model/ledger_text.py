"""Text as the load ledger has it: S3 allows characters in a key that a warehouse takes in no text."""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"\\(\\|x00|u[0-9a-f]{4})")


def as_text(value: str) -> str:
    """For a reason: NUL, and what is no character, are named. Two may come to the same."""
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def key_text(key: str) -> str:
    """For a key: its backslashes are doubled, so that no two keys have the same text and `key_of` knows each again."""
    return as_text(key.replace("\\", "\\\\"))


def key_of(text: str) -> str:
    """The key that `key_text` made this of."""
    return _ESCAPED.sub(lambda found: "\\" if found[1] == "\\" else chr(int(found[1][1:], 16)), text)
