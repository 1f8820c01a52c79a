"""Messages of a queue become one object, and are acknowledged when it is there; what is no event is not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.object_store import FakeObjectStore

from penstock.flows.pack_messages import Packed, pack_messages
from penstock.message_batch import answer, messages_of
from penstock.model.errors import PermanentError, TransientError
from penstock.model.messages import Message, line_of

NOON = datetime(2026, 1, 15, 12, 30, 1, tzinfo=UTC)
PREFIX = "incoming/messages/"
BATCH = Path(__file__).parents[2] / "events" / "messages-batch.json"


def message(number: int, body: Any = None, **changes: Any) -> Message:
    event = {"event_id": f"e{number}", "n": number} if body is None else body
    text = event if isinstance(event, str) else json.dumps(event)
    return replace(Message(f"m{number}", text, NOON + timedelta(seconds=number)), **changes)


def packed(store: FakeObjectStore, *messages: Message) -> Packed:
    return pack_messages(store, PREFIX, messages)


def events(store: FakeObjectStore, key: str) -> list[Any]:
    return [json.loads(line) for line in store.content(key).splitlines()]


def test_messages_are_one_object_in_the_hour_in_which_the_first_was_sent() -> None:
    store = FakeObjectStore()

    done = packed(store, message(2), message(1), message(3))

    assert done == Packed(done.key, 3, {})
    assert done.key.startswith("incoming/messages/2026/01/15/12/20260115T123002-")
    assert done.key.endswith(".jsonl")
    assert [one["n"] for one in events(store, done.key)] == [1, 2, 3]
    assert store.content(done.key).endswith(b"\n")


def test_the_same_messages_in_any_order_are_the_same_bytes_under_the_same_key_and_others_are_not() -> None:
    store = FakeObjectStore()
    messages = [message(number) for number in range(5)]

    keys = [packed(store, *order).key for order in (messages, messages[::-1])]
    other = packed(store, *messages[:-1]).key

    assert len({*keys, other}) == 2
    assert keys[0] == keys[1]
    versions = [one for one in store.arrivals(keys[0]) if one.key == keys[0]]
    assert len({(one.etag, one.size) for one in versions}) == 1
    assert len(versions) == 2


def test_a_fifo_queues_messages_are_in_its_order_though_their_clocks_are_not() -> None:
    store = FakeObjectStore()

    done = packed(store, message(1, place=30), message(2, place=10), message(3, place=20))

    assert [one["n"] for one in events(store, done.key)] == [2, 3, 1]


def test_a_message_without_an_event_id_has_its_own_and_its_text_is_kept_as_it_is_written() -> None:
    texts = ['{"n": 1.10}', ' {\n "n":\r\n 12345678901234567890123 } ', "{}", '{"a": {"event_id": 1}, "n": 2}']

    lines = [line_of(message(number, text)) for number, text in enumerate(texts)]

    assert lines[0] == b'{"event_id":"m0","n": 1.10}'
    assert b"12345678901234567890123 }" in lines[1]
    assert lines[2] == b'{"event_id":"m2"}'
    assert json.loads(lines[3]) == {"event_id": "m3", "a": {"event_id": 1}, "n": 2}
    assert line_of(message(1, '{"event_id": 7, "n": 1.10}')) == b'{"event_id": 7, "n": 1.10}'


@given(
    st.dictionaries(
        st.text(), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.lists(st.text())
    ),
    st.sampled_from([None, 0, 2]),
)
def test_any_event_is_one_line_that_says_the_same(event: dict[str, Any], indent: int | None) -> None:
    event.pop("event_id", None)

    line = line_of(message(1, json.dumps(event, indent=indent)))

    assert b"\n" not in line
    assert b"\r" not in line
    assert orjson.loads(line) == {"event_id": "m1", **event}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("click", "is no JSON"),
        ("", "is no JSON"),
        ("[1]", "is no JSON object"),
        ('{"event_id": null}', "has an event_id that is empty"),
        ('{"event_id": ""}', "has an event_id that is empty"),
    ],
)
def test_what_is_no_event_stays_in_the_queue_and_the_others_are_packed(body: str, reason: str) -> None:
    store = FakeObjectStore()

    done = packed(store, message(1), message(2, body), message(3))

    assert (done.messages, list(done.refused)) == (2, ["m2"])
    assert reason in done.refused["m2"]
    assert body == "" or body not in done.refused["m2"], "content is in no log"
    assert [one["n"] for one in events(store, done.key)] == [1, 3]
    assert answer(done.refused) == {"batchItemFailures": [{"itemIdentifier": "m2"}]}


def test_poison_alone_writes_nothing() -> None:
    store = FakeObjectStore()

    assert packed(store, message(1, "x")).key == ""
    assert not list(store.keys("incoming/"))


def test_nothing_is_acknowledged_when_the_object_could_not_be_written() -> None:
    class Away(FakeObjectStore):
        def put_lines(self, key: str, lines: Iterable[bytes]) -> None:
            raise TransientError("S3 is away")

    with pytest.raises(TransientError):
        packed(Away(), message(1))


def test_a_batch_of_lambda_is_read() -> None:
    first, second = messages_of(json.loads(BATCH.read_text()))

    assert (first.id, first.place) == ("11d6ee51-4cc7-4302-9e22-7cd8afdaadf5", 0)
    assert first.sent == datetime(2026, 1, 15, 10, 11, 12, 345000, tzinfo=UTC)
    assert json.loads(line_of(second))["event_id"] == second.id


@pytest.mark.parametrize("event", [{}, {"Records": [{"kinesis": {}}]}, {"Records": None}])
def test_what_is_no_batch_of_a_queue_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match="no batch of an SQS queue"):
        messages_of(event)
