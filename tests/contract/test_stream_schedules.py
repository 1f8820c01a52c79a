"""Some of the random schedules of `tests/streams`, with their counts in DynamoDB (MiniStack)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.faults.schedules.choices import Choices
from tests.streams.handling import handled, process_stream
from tests.streams.world import World

from penstock.adapters.dynamodb_counts import DynamoCounts


@pytest.mark.parametrize("seed", range(3))
def test_counts_in_dynamodb_equal_the_truth(dynamodb: Any, table: str, seed: int) -> None:
    counts = DynamoCounts(dynamodb, table, FakeClock())

    with handled(World(Choices(seed), process_stream, counts)) as world:
        world.run()
