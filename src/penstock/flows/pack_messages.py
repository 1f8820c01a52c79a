"""Writes messages of a queue into one object below `incoming/`, from where they are a file like any other.

A queue delivers at least once. The same messages make the same object, so one that is written again is a duplicate; and
messages that come again among others are told by their events' ids, where the dataset says `event_id`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from penstock.model.messages import Message, key_of, line_of
from penstock.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class Packed:
    """`key` is empty where none could be packed; `refused` are reasons by message id."""

    key: str
    messages: int
    refused: Mapping[str, str]


def pack_messages(store: ObjectStore, prefix: str, messages: Sequence[Message]) -> Packed:
    """`prefix` begins with `incoming/` and ends with a slash. When this returns the object is there.

    Raises what the store raises: then none of the messages may be acknowledged.
    """
    lines: dict[str, tuple[Message, bytes]] = {}
    refused: dict[str, str] = {}
    for message in messages:
        try:
            lines[message.id] = message, line_of(message)
        except ValueError as error:
            refused[message.id] = str(error)
    if not lines:
        return Packed("", 0, refused)
    key = key_of(prefix, (message for message, _ in lines.values()))
    ordered = sorted(lines.values(), key=lambda one: (one[0].place, one[0].sent, one[0].id))
    store.put_lines(key, (line for _, line in ordered))
    return Packed(key, len(lines), refused)
