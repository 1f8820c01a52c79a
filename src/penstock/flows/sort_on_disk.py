"""Sorts more facts than memory holds: pieces are sorted in memory, kept in temporary files, and merged."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from operator import itemgetter
from typing import IO, Any

import orjson

Fact = tuple[str, str, list[Any]]
"""What it is about, by which it is sorted; its kind; and what JSON can hold of it."""

PIECE = 50_000
"""Facts in memory at once: some 30 MB."""


def sort_on_disk(facts: Iterable[Fact], piece: int = PIECE) -> Iterator[Fact]:
    """By what they are about; those about the same stay in their order. Reads all of them before it gives the first."""
    source = iter(facts)
    with ExitStack() as files:
        pieces: list[Iterable[Fact]] = []
        while some := sorted(islice(source, piece), key=itemgetter(0)):
            if len(some) < piece:
                pieces.append(some)  # The last one, and mostly the only one.
                break
            file = files.enter_context(tempfile.TemporaryFile())
            file.writelines(orjson.dumps(fact) + b"\n" for fact in some)
            file.seek(0)
            pieces.append(_read(file))
        yield from heapq.merge(*pieces, key=itemgetter(0))


def _read(file: IO[bytes]) -> Iterator[Fact]:
    for line in file:
        about, kind, what = orjson.loads(line)
        yield about, kind, what
