"""A stream that takes nothing for long, and a disk that is full meanwhile: nothing is lost or stands still."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.kinesis_endpoint import Stream, Trouble, kinesis_endpoint

from penstock.producer import BufferFullError, Producer
from penstock.producer.events import MAX_RECORD, encode
from penstock.producer.lanes import MAX_PARCELS, MOST_REFUSED, Lanes


@pytest.fixture
def stream() -> Iterator[Stream]:
    with kinesis_endpoint(Trouble(throttled=1.0)) as made:
        yield made


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.producer.producer._PICK_UP", 0.1)
    monkeypatch.setattr("penstock.producer.producer._LONGEST_WAIT", 0.1)


def producer(stream: Stream, **options: Any) -> Producer:
    return Producer("clicks", client=stream.client(read_timeout=10), **options)


def wait_for(sender: Producer, spilled: int) -> None:
    while sender.counters.spilled < spilled:
        assert not sender.flush(0.01)


def test_a_stream_that_is_full_for_long_but_takes_what_it_can_is_never_given_up(stream: Stream) -> None:
    stream.trouble = Trouble(most=1_500)

    with producer(stream, patience=0.5) as sender:
        ids = {sender.put({"n": n}, key=f"user-{n}") for n in range(4_000)}

    assert sender.undelivered() == []
    assert {event["event_id"] for event in stream.events()} == ids
    assert sender.counters.throttled > 500


def test_no_more_lanes_are_begun_with_while_many_were_refused_and_those_are_asked_first() -> None:
    lanes = Lanes()
    for n in range(2 * MOST_REFUSED):
        lanes.add(encode({"n": n}, f"user-{n}"))
    asked = [parcel for _ in range(MOST_REFUSED // MAX_PARCELS) for parcel in lanes.take(0.0)]
    for parcel in asked:
        lanes.again(parcel, due=1.0)

    assert lanes.take(0.5) == []

    lanes.wake(1.0)
    again = lanes.take(1.0)
    assert {parcel.key for parcel in again} < {parcel.key for parcel in asked}
    lanes.sent(again[0])
    assert lanes.ready > MOST_REFUSED


def test_what_was_not_sent_at_the_end_of_a_block_is_still_there_for_its_owner(stream: Stream) -> None:
    with producer(stream, patience=0.1) as sender:
        name = sender.put({"n": 0})

    [lost] = sender.undelivered()
    assert lost.event.id == name


def test_large_events_behind_others_on_disk_do_not_fill_the_buffer_for_ever(stream: Stream, tmp_path: Path) -> None:
    sender = producer(stream, spill=tmp_path, patience=0, buffer=100_000)
    ids = [sender.put({"n": 0}, key="k")]
    wait_for(sender, 1)

    ids += [sender.put({"n": n, "padding": "x" * 1_000}, key="k", timeout=60) for n in range(1, 200)]

    stream.trouble = Trouble()
    assert sender.flush(60)
    assert sender.close() == []
    assert [event["event_id"] for event in stream.events()] == ids


def test_events_without_keys_lie_on_disk_in_few_files_however_often_they_were_tried(
    stream: Stream, tmp_path: Path
) -> None:
    sender = producer(stream, spill=tmp_path, patience=0)
    ids = {sender.put({"n": n}) for n in range(3_000)}

    wait_for(sender, 6_000)

    assert len(list(tmp_path.iterdir())) < 60, "what one request brought back is one file"
    stream.trouble = Trouble()
    assert sender.flush(60)
    assert sender.close() == []
    assert {event["event_id"] for event in stream.events()} == ids
    assert list(tmp_path.iterdir()) == []


def test_who_waits_for_room_is_told_when_all_of_it_waits_for_himself(stream: Stream) -> None:
    stream.trouble = Trouble(code="AccessDeniedException")
    sender = producer(stream, buffer=10_000)

    def put() -> None:
        for n in range(1_000):
            sender.put({"n": n}, timeout=60)

    with pytest.raises(BufferFullError, match=r"wait for `undelivered`\. stream clicks .*AccessDeniedException"):
        put()

    assert len(sender.undelivered()) == sender.counters.put
    sender.put({"n": 0})
    assert len(sender.close()) == 1


@pytest.mark.parametrize("key", ["k", "😀" * 100, "x" * 300])
def test_aggregated_records_are_never_longer_than_kinesis_takes(key: str) -> None:
    lanes = Lanes(aggregate=4 * MAX_RECORD)
    for n in range(500):
        lanes.add(encode({"n": n, "padding": "x" * 5_000}, key))

    [parcel] = lanes.take(0.0)

    assert MAX_RECORD * 0.99 < parcel.size <= MAX_RECORD


def test_an_aggregated_record_has_no_more_events_than_firehose_takes_apart() -> None:
    lanes = Lanes(aggregate=MAX_RECORD)
    for n in range(501):
        lanes.add(encode({"n": n}, "k"))

    [parcel] = lanes.take(0.0)

    assert len(parcel.events) == parcel.data.count(b"\n") == 500


def test_a_full_disk_keeps_events_in_memory_and_spoils_nothing_that_is_on_it(stream: Stream, tmp_path: Path) -> None:
    told = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "eu-west-1"}
    command = [sys.executable, "-c", FULL, stream.endpoint, str(tmp_path)]
    with subprocess.Popen(
        command, env=os.environ | told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ids = process.stdout.readline().split()
        said = next(line for line in process.stderr if "do not fit the disk" in line)
        assert "File too large" in said
        lying = [event for path in tmp_path.iterdir() for event in path.read_bytes().splitlines()]
        assert (len(ids), len(lying)) == (200, 20)
        assert all(event.endswith(b"}") for event in lying), "a half line is none"

        stream.trouble = Trouble()
        assert process.stdout.read() == "sent 200, handed back 0\n"

    assert {event["event_id"] for event in stream.events()} == set(ids)
    for key in range(40):
        numbers = [event["n"] for event in stream.events() if event["n"] % 40 == key]
        assert numbers == sorted(numbers)
    assert list(tmp_path.iterdir()) == []


FULL = """
import resource, sys, time
from pathlib import Path
from penstock.producer import Producer, producer
from penstock.producer.sending import make_client
producer._PICK_UP = producer._LONGEST_WAIT = 0.2
folder = Path(sys.argv[2])
sender = Producer("clicks", client=make_client(4, endpoint=sys.argv[1]), spill=folder, patience=0)
ids = [sender.put({"n": n}, key=f"user-{n % 40}") for n in range(20)]
while sender.counters.spilled < 20:
    time.sleep(0.01)  # A counter tells nobody that it has grown.
full = max(path.stat().st_size for path in folder.iterdir()) + 50
resource.setrlimit(resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
ids += [sender.put({"n": n}, key=f"user-{n % 40}") for n in range(20, 200)]
print(*ids, flush=True)
sender.flush(120)
lost = sender.close()
print(f"sent {sender.counters.sent}, handed back {len(lost)}")
"""
"""Its files may not grow: the disk takes a part of what is written, and then nothing."""


def test_what_neither_stream_nor_disk_has_taken_is_handed_back_in_the_end(stream: Stream, tmp_path: Path) -> None:
    sender = producer(stream, spill=tmp_path, patience=0.1)
    tmp_path.joinpath("spill-001000000001.jsonl").symlink_to("/dev/full")
    ids = [sender.put({"n": n}, key=f"user-{n % 7}") for n in range(50)]

    assert {one.event.id for one in sender.close(timeout=None)} == set(ids)
    assert sender.counters.handed_back == 50
