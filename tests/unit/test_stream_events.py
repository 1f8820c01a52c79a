"""Which lines of a record are events, and what those are made to be that want to do harm."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.model.stream_events import (
    LONGEST_ID,
    LONGEST_RAW,
    LONGEST_TYPE,
    EventFields,
    Poison,
    StreamEvent,
    StreamRecord,
    end_of,
    events_of,
)

EVENT: dict[str, Any] = {"event_id": "1", "type": "UA", "at": "2013-01-01T10:00:30Z"}
GOOD = json.dumps(EVENT).encode()


def found(data: bytes) -> list[tuple[int, StreamEvent | Poison]]:
    return list(events_of(StreamRecord("7", data, "key"), EventFields()))


def poison(data: bytes) -> list[Poison]:
    return [line for _, line in found(data) if isinstance(line, Poison)]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"event_id": "x" * (LONGEST_ID + 1)}, 'has 257 characters in "event_id"; 256 is the most'),
        ({"type": "x" * (LONGEST_TYPE + 1)}, 'has 101 characters in "type"; 100 is the most'),
        ({"type": "\x1b]0;owned\x07"}, "has control characters in"),
        ({"type": "a\nb"}, "has control characters in"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "has no time with its zone"),
        ({"at": "9999-12-31T23:59:59-14:00"}, "has no time with its zone"),
        ({"at": "2013-01-01T10:00:00"}, "has no time with its zone"),
        ({"at": 1357034400}, "has no time with its zone"),
    ],
)
def test_what_would_break_a_key_a_terminal_or_a_calendar_is_poison(changed: dict[str, Any], why: str) -> None:
    [line] = poison(json.dumps(EVENT | changed).encode())

    assert line.reason.startswith(why)


@pytest.mark.parametrize(
    "data",
    [b"[" * 2_000, b'{"at": NaN}', b'{"event_id": "\\ud800"}', b'"\xed\xa0\x80"', b"\x1f\x8b\x08\0"],
)
def test_what_no_parser_likes_is_poison(data: bytes) -> None:
    assert [line.raw for line in poison(data)] == [data]


def test_the_longest_names_and_the_first_and_last_minute_are_events() -> None:
    at = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
    events = [EVENT | {"event_id": "\U0001f600" * LONGEST_ID, "type": "ü" * LONGEST_TYPE, "at": one} for one in at]

    lines = [line for _, line in found(b"\n".join(json.dumps(one).encode() for one in events))]

    assert [line.minute for line in lines if isinstance(line, StreamEvent)] == [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
    ]


def test_lines_in_a_row_that_are_no_events_are_one_poison_and_events_between_them_count() -> None:
    data = b"\n".join([b"{", b'  "event_id": "1",', b"", b"}", GOOD, b"no JSON", b"", b""])

    lines = found(data)

    assert [number for number, _ in lines] == [4, 5, 6]
    first, event, last = (line for _, line in lines)
    assert isinstance(first, Poison)
    assert (first.line, first.raw) == (1, b'{\n  "event_id": "1",\n}')
    assert first.reason.startswith("is no JSON")
    assert first.reason.endswith("and 2 more in a row are no events")
    assert isinstance(event, StreamEvent)
    assert isinstance(last, Poison)
    assert (last.line, last.raw, last.key) == (6, b"no JSON", "key")
    assert end_of(StreamRecord("7", data)).lines == 6


def test_a_megabyte_of_garbage_is_a_few_letters_that_hold_it_all() -> None:
    data = b"\n".join([b"x"] * 2**19)

    lines = poison(data)

    assert len(lines) <= 2**20 / LONGEST_RAW + 1
    assert b"\n".join(line.raw for line in lines) == data
    assert max(len(line.raw) for line in lines) <= LONGEST_RAW


def test_a_line_too_long_for_a_letter_stands_alone() -> None:
    long = b"x" * (LONGEST_RAW + 1)

    lines = poison(b"a\n" + long + b"\nb\nc")

    assert [(line.line, line.raw) for line in lines] == [(1, b"a"), (2, long), (3, b"b\nc")]
