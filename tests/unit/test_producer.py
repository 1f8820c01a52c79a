"""The producer, by boto3, against an endpoint that fails as told: nothing is lost, and order per key is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.kinesis_endpoint import Stream, Trouble, kinesis_endpoint

from penstock.model.errors import PermanentError
from penstock.producer import BufferFullError, ClosedError, EventError, Producer, encode


@pytest.fixture
def stream() -> Iterator[Stream]:
    with kinesis_endpoint() as made:
        yield made


def producer(stream: Stream, **options: Any) -> Producer:
    return Producer("clicks", client=stream.client(), **options)


def put_all(sender: Producer, number: int, keys: int) -> list[str]:
    return [sender.put({"n": n, "padding": "x" * (n % 50)}, key=f"user-{n % keys}") for n in range(number)]


def out_of_order(stream: Stream) -> int:
    """First deliveries that came after a later event of their key; a repeat says nothing."""
    wrong = 0
    seen: set[str] = set()
    last: defaultdict[str, int] = defaultdict(lambda: -1)
    for shard in stream.kept:
        for key, data in shard:
            for event in map(json.loads, data.splitlines()):
                if event["event_id"] not in seen:
                    wrong += event["n"] < last[key]
                    last[key] = event["n"]
                    seen.add(event["event_id"])
    return wrong


@pytest.mark.parametrize("aggregate", [0, 2_000])
def test_under_throttling_timeouts_and_errors_every_event_arrives_in_the_order_of_its_key(
    stream: Stream, aggregate: int
) -> None:
    stream.trouble = Trouble(throttled=0.3, timed_out=0.02, failed=0.02)
    sender = producer(stream, aggregate=aggregate)

    ids = put_all(sender, 3_000, keys=300)

    assert sender.flush(60)
    assert sender.close() == []
    assert {event["event_id"] for event in stream.events()} == set(ids)
    assert out_of_order(stream) == 0
    counted = sender.counters
    assert counted.put == counted.sent == 3_000
    assert counted.retried >= counted.throttled > 500


def test_events_of_one_key_share_a_record_when_they_may_and_are_lines_of_json(stream: Stream) -> None:
    with producer(stream, aggregate=10_000, linger=0.3) as sender:
        put_all(sender, 100, keys=1)

    records = [data for shard in stream.kept for _, data in shard]
    assert len(records) < 20
    assert all(record.endswith(b"\n") for record in records)
    assert [event["n"] for event in stream.events()] == list(range(100))


def test_an_id_of_the_producers_own_is_kept(stream: Stream) -> None:
    with producer(stream) as sender:
        assert sender.put({"event_id": "order-7", "n": 1}) == "order-7"

    assert stream.events() == [{"event_id": "order-7", "n": 1}]


@pytest.mark.parametrize(
    ("event", "key", "said"),
    [
        ({"event_id": 7}, None, "event_id is a text"),
        ({"event_id": ""}, None, "event_id is a text"),
        ({"event_id": "x" * 257}, None, "257 characters, and 256"),
        ({"a": object()}, None, "can't be written as JSON"),
        ({"a": 1}, "", "empty key"),
        ({"a": "x" * 2**20}, "k", "a record may take 1,048,576"),
    ],
)
def test_what_can_not_be_an_event_is_refused_at_once(event: dict[str, Any], key: str | None, said: str) -> None:
    with pytest.raises(EventError, match=said):
        encode(event, key)


def test_a_key_that_kinesis_would_not_take_is_known_by_its_hash(stream: Stream) -> None:
    with producer(stream) as sender:
        sender.put({"n": 1}, key="ü" * 300)

    [(key, _)] = [record for shard in stream.kept for record in shard]
    assert len(key) == 64


def test_a_full_buffer_refuses_where_it_is_asked_to(stream: Stream) -> None:
    stream.trouble = Trouble(throttled=1.0)
    sender = producer(stream, buffer=2_000, when_full="refuse", patience=0.2)

    with pytest.raises(BufferFullError, match="2,000"):
        put_all(sender, 100, keys=100)

    sender.close(timeout=0.1)


def test_a_full_buffer_blocks_until_there_is_room_and_drops_nothing(stream: Stream) -> None:
    stream.trouble = Trouble(throttled=0.5)
    sender = producer(stream, buffer=10_000)

    ids = put_all(sender, 150, keys=50)

    sender.close()
    assert {event["event_id"] for event in stream.events()} == set(ids)


def test_a_blocked_put_may_be_given_a_time(stream: Stream) -> None:
    stream.trouble = Trouble(throttled=1.0)
    sender = producer(stream, buffer=600, patience=60)
    sender.put({"n": 1})

    with pytest.raises(BufferFullError):
        sender.put({"n": 2, "padding": "x" * 500}, timeout=0.05)

    assert [one.event.id for one in sender.close(timeout=0)]


def test_what_can_not_be_sent_in_time_is_handed_back_with_the_reason(stream: Stream) -> None:
    stream.trouble = Trouble(throttled=1.0)
    sender = producer(stream, patience=0.1)
    name = sender.put({"n": 1}, key="k")

    assert sender.flush(10)
    [lost] = sender.undelivered()

    assert (lost.event.id, lost.event.key) == (name, "k")
    assert "ProvisionedThroughputExceededException" in lost.reason
    assert sender.close() == []
    assert sender.counters.handed_back == 1


def test_a_stream_that_is_not_there_is_not_tried_for_ever(stream: Stream) -> None:
    stream.trouble = Trouble(code="ResourceNotFoundException")
    sender = producer(stream, patience=3600)
    put_all(sender, 3, keys=3)

    lost = sender.close()

    assert len(lost) == 3
    assert "ResourceNotFoundException" in lost[0].reason


def test_a_closed_producer_takes_nothing(stream: Stream) -> None:
    sender = producer(stream)
    sender.close()

    with pytest.raises(ClosedError):
        sender.put({"n": 1})


def test_what_goes_to_disk_is_picked_up_when_the_stream_is_there_again_and_in_order(
    stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.producer.producer._PICK_UP", 0.05)
    stream.trouble = Trouble(throttled=1.0)
    sender = producer(stream, patience=0.05, spill=tmp_path)
    ids = put_all(sender, 200, keys=20)
    assert not sender.flush(0.5)
    assert sender.counters.spilled >= 200

    stream.trouble = Trouble(throttled=0.2)
    ids += [sender.put({"n": n}, key=f"user-{n % 20}") for n in range(200, 400)]

    assert sender.flush(30)
    assert sender.close() == []
    assert {event["event_id"] for event in stream.events()} == set(ids)
    assert out_of_order(stream) == 0
    assert list(tmp_path.iterdir()) == []


def test_what_a_process_left_on_disk_is_sent_by_the_next(stream: Stream, tmp_path: Path) -> None:
    stream.trouble = Trouble(throttled=1.0)
    first = producer(stream, spill=tmp_path)
    ids = put_all(first, 50, keys=5)
    assert first.close(timeout=0) == []
    (tmp_path / max(path.name for path in tmp_path.iterdir())).open("ab").write(b'{"key": "user-1", "li')

    stream.trouble = Trouble()
    with producer(stream, spill=tmp_path) as second:
        ids.append(second.put({"n": 50}, key="user-0"))
        assert second.flush(30)

    assert {event["event_id"] for event in stream.events()} == set(ids)
    assert out_of_order(stream) == 0
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_had_on_disk_is_sent_by_the_next(stream: Stream, tmp_path: Path) -> None:
    stream.trouble = Trouble(throttled=1.0)
    told = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "eu-west-1"}
    command = [sys.executable, "-c", ON_DISK, stream.endpoint, str(tmp_path)]
    with subprocess.Popen(command, env=os.environ | told, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        on_disk = process.stdout.readline().split()
        with pytest.raises(PermanentError, match="another producer spills to"):
            producer(stream, spill=tmp_path)
        process.kill()

    stream.trouble = Trouble()
    with producer(stream, spill=tmp_path) as second:
        assert second.flush(30)

    assert len(on_disk) == 300
    assert {event["event_id"] for event in stream.events()} == set(on_disk)
    assert out_of_order(stream) == 0


ON_DISK = """
import sys, time
from pathlib import Path
from penstock.producer import Producer
from penstock.producer.sending import make_client
sender = Producer("clicks", client=make_client(4, endpoint=sys.argv[1]), spill=Path(sys.argv[2]), patience=0.05)
ids = [sender.put({"n": n}, key=f"user-{n % 5}") for n in range(300)]
while sender.counters.spilled < 300:
    time.sleep(0.01)
print(*ids, flush=True)
time.sleep(600)
"""
"""Puts events that the stream does not take, and says which when they are on disk."""


def test_several_threads_may_put(stream: Stream) -> None:
    stream.trouble = Trouble(throttled=0.2)
    sender = producer(stream)
    threads = [threading.Thread(target=put_all, args=(sender, 300, 7)) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sender.close() == []
    assert len({event["event_id"] for event in stream.events()}) == 1_200
