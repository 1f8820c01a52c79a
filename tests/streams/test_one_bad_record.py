"""One record in 10,000 is bad: all others are counted, it is found alone, and its shard waits for a bounded time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from math import ceil, log2
from typing import Any

import pytest
from tests.faults.schedules.choices import Choices
from tests.streams.handling import handled, process_stream
from tests.streams.troubles import KilledError
from tests.streams.world import Sent, World
from tests.template.deployment import source

RECORDS = 10_000
BATCH, RETRIES = (int(source()["Parameters"][name]["Default"]) for name in ("StreamBatchRecords", "StreamRetries"))
AGE = timedelta(seconds=int(source()["Parameters"]["StreamMaxAgeSeconds"]["Default"]))
TIMEOUT = timedelta(seconds=source()["Resources"]["ProcessStream"]["Properties"]["Timeout"])
HALVINGS = ceil(log2(BATCH))
"""Of a batch, until one record is left."""


def played(*, bad_line: bytes = b"", kills: timedelta | None = None) -> tuple[World, int, tuple[str, int], timedelta]:
    """The world afterwards, how many invocations failed, the bad record's place, and how long its shard stood still.

    `kills` is how long the record takes to kill its worker.
    """
    failed, bad = 0, ("", 0)
    stood: list[datetime] = []

    def function(world: World, event: Mapping[str, Any]) -> object:
        nonlocal failed
        numbers = {one["kinesis"]["sequenceNumber"] for one in event["Records"]}
        if kills and str(bad[1]) in numbers:
            failed += 1
            stood.append(world.clock.now())
            world.clock.advance(kills)
            stood.append(world.clock.now())
            raise KilledError
        return process_stream(world, event)

    harmless = Choices(replay=[])
    fixed: dict[str, Any] = {
        "batch_size": BATCH,
        "retries": RETRIES,
        "bisect": True,
        "window": timedelta(0),
        "age": AGE,
    }
    with handled(World(harmless, function, redrives=False, **fixed)) as world:
        for number in range(RECORDS):
            is_bad = number == 3_456
            text = bad_line if is_bad and bad_line else event(number, world.clock.now())
            place = world.stream.put(str(number), text, world.clock.now())
            world.sent[*place, 1] = Sent(str(number), "UA", world.clock.now(), not (is_bad and bad_line))
            bad = place if is_bad else bad
        world.deliver()
        world.check()
    return world, failed, bad, stood[-1] - stood[0] if stood else timedelta(0)


def event(number: int, at: datetime) -> bytes:
    return json.dumps({"event_id": str(number), "type": "UA", "at": at.isoformat()}).encode()


def test_a_line_that_is_no_event_holds_nothing_up_and_is_put_aside() -> None:
    world, failed, bad, stood = played(bad_line=b"{cut off")

    assert (failed, world.discarded, world.aside, stood) == (0, set(), {(*bad, 1)}, timedelta(0))


@pytest.mark.parametrize("seconds", [1, 30])
def test_a_record_that_kills_its_worker_is_given_up_alone_after_halvings_and_retries(seconds: int) -> None:
    kills = timedelta(seconds=seconds)

    world, failed, bad, stood = played(kills=kills)

    assert world.discarded == {bad}
    assert failed <= HALVINGS + RETRIES + 1
    waits = timedelta(seconds=failed + HALVINGS)  # A second between invocations, also those of halves that are good.
    assert stood <= failed * kills + waits < AGE
    assert sum(world.counts.read("UA", *around(world)).values()) == RECORDS - 1


def test_a_record_that_has_its_worker_hang_is_given_up_with_what_waited_too_long_and_all_of_it_is_named() -> None:
    world, failed, bad, stood = played(kills=TIMEOUT)

    assert failed < HALVINGS + RETRIES, "its age ended it"
    assert stood <= AGE + TIMEOUT
    assert bad in world.discarded
    assert {shard for shard, _ in world.discarded} == {bad[0]}, "another shard has not waited"
    assert sum(world.counts.read("UA", *around(world)).values()) == RECORDS - len(world.discarded)


def around(world: World) -> tuple[datetime, datetime]:
    return world.clock.now() - timedelta(days=1), world.clock.now()
