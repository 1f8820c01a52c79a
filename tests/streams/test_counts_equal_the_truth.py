"""Counts equal the truth over random schedules of the whole way: producer, shards, mapping, function, DynamoDB."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Any

from tests.faults.schedules.choices import Choices, shrunk
from tests.streams.world import World

from penstock.flows.count_events import count_events
from penstock.model.stream_events import EventFields, StreamRecord

SCHEDULES = int(os.environ.get("PENSTOCK_STREAM_SCHEDULES", "500"))


def process_stream(world: World, event: Mapping[str, Any]) -> object:
    shard = event["Records"][0]["eventID"].partition(":")[0]
    records = [
        StreamRecord(one["kinesis"]["sequenceNumber"], base64.b64decode(one["kinesis"]["data"]))
        for one in event["Records"]
    ]
    count_events(
        world.counts,
        lambda poison: world.put_aside(shard, poison),
        shard,
        records,
        EventFields(),
        world.clock.now(),
        world.window,
    )
    return {"batchItemFailures": []}


def test_counts_equal_the_truth_over_random_schedules() -> None:
    for seed in range(SCHEDULES):
        if said := _failure(choices := Choices(seed)):
            simpler = shrunk(choices.made, lambda made: bool(_failure(Choices(replay=made))))
            world = World(Choices(replay=simpler), process_stream)
            raise AssertionError(f"schedule {seed}: {said}\nin short: {_failure_of(world)}\n" + "\n".join(world.story))


def test_with_a_parallelization_factor_of_two_events_would_be_lost() -> None:
    """Two lanes of a shard, one watermark: the faster lane takes it past what the slower one has not counted."""
    assert any("lost" in _failure(Choices(seed), lanes=2) for seed in range(10))


def _failure(choices: Choices, lanes: int = 1) -> str:
    return _failure_of(World(choices, process_stream, lanes=lanes))


def _failure_of(world: World) -> str:
    try:
        world.run()
    except AssertionError as error:
        return str(error) or "an assertion"
    return ""
