"""Words such as `today` in a CSV on its way to COPY, which would take them for dates: found without a row being read.

A word counts where a whole field could be a date that says it. The same word in a sentence is passed over, since a
sentence has other words; a field that is `today` in a column of text is not, and its file costs the row reader's time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import ascii_letters

from penstock.adapters.postgres.csv_body import UnclearError
from penstock.model.datasets import Csv
from penstock.model.dates import WORDS

_BYTES = [word.encode() for word in WORDS]
_LETTERS = re.compile(rb"[a-z]+")
_ZONE = re.compile(
    rb"(?<![a-z/.])(?:africa|america|antarctica|arctic|asia|atlantic|australia|brazil|canada|chile|etc|europe|indian"
    rb"|mexico|pacific|us)/[a-z0-9_+-]+(?:/[a-z_]+)?"
)
_BESIDE = frozenset(
    b"am pm ad bc at on of t z d dst utc gmt zulu est edt cst cdt mst mdt pst pdt wet west cet cest eet eest bst ist"
    b" msk jst kst mon monday tue tues tuesday wed wednesday thu thur thurs thursday fri friday sat saturday sun"
    b" sunday".split()
)
"""What PostgreSQL reads beside such a word, or passes over. It knows more zones: `today AKST` is not found."""
_NO_LETTERS = bytes(set(range(256)) - set(ascii_letters.encode()))
_LOWER = bytes.maketrans(ascii_letters.encode(), ascii_letters.lower().encode())
_LONGEST = 2**10
"""Bytes of a field that may still be a date: PostgreSQL takes some 150, and passes over spaces."""


def without_date_words(chunks: Iterator[bytes], dialect: Csv) -> Iterator[bytes]:
    """The chunks as they are; UnclearError where a field says a word."""
    words = _DateWords(dialect)
    for chunk in chunks:
        words.feed(chunk)
        yield chunk
    words.finish()


class _DateWords:
    def __init__(self, dialect: Csv) -> None:
        edges = f"{dialect.delimiter}{dialect.quote}\r\n".lower()
        self._edges = [edge.encode() for edge in edges]
        self._edge = re.compile(b"[" + re.escape(edges.encode()) + b"]")
        self._held = b""
        """The field that the last chunk's end has cut, from its beginning; one that is too long, as that much of it."""

    def feed(self, chunk: bytes) -> None:
        end = max(map(chunk.rfind, self._edges)) + 1
        if _may_say_a_word(self._held.translate(_LOWER, _NO_LETTERS) + chunk.translate(_LOWER, _NO_LETTERS)):
            self._look((self._held + chunk[:end]).lower() if end else b"")
        held = chunk[end:] if end else self._held + chunk
        self._held = held if len(held) <= _LONGEST else b"x" * (_LONGEST + 1)

    def finish(self) -> None:
        self._look(self._held.lower())

    def _look(self, text: bytes) -> None:
        for word in _BYTES:
            at = text.find(word)
            while at >= 0:
                start = max(text.rfind(edge, max(0, at - _LONGEST), at) for edge in self._edges) + 1
                found = self._edge.search(text, at)
                stop = found.start() if found else len(text)
                if stop - start <= _LONGEST and _is_date_like(text[start:stop]):
                    raise UnclearError
                at = text.find(word, stop)


def _may_say_a_word(letters: bytes) -> bool:
    """Asked of a chunk's letters alone, which are few in most files: ten times faster than asking the chunk."""
    return any(word in letters for word in _BYTES)


def _is_date_like(field: bytes) -> bool:
    letters = _LETTERS.findall(_ZONE.sub(b"", field))
    said = [word for word in letters if word in _BYTES]
    return bool(said) and all(word in _BYTES or word in _BESIDE for word in letters)
