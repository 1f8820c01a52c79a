"""Counts equal the truth over random schedules of the whole way: producer, shards, mapping, function, counts."""

from __future__ import annotations

import os

from tests.faults.schedules.choices import Choices, shrunk
from tests.streams.handling import failure

SCHEDULES = int(os.environ.get("PENSTOCK_STREAM_SCHEDULES", "500"))


def test_counts_equal_the_truth_over_random_schedules() -> None:
    for seed in range(SCHEDULES):
        said, _ = failure(choices := Choices(seed))
        if said:
            simpler = shrunk(choices.made, lambda made: bool(failure(Choices(replay=made))[0]))
            short, story = failure(Choices(replay=simpler))
            raise AssertionError(f"schedule {seed}: {said}\nin short: {short}\n" + "\n".join(story))


def test_with_a_parallelization_factor_of_two_events_would_be_lost() -> None:
    """Two lanes of a shard, one watermark: the faster lane takes it past what the slower one has not counted."""
    assert any("lost" in failure(Choices(seed), parallelization=2)[0] for seed in range(10))


def test_what_is_given_up_and_put_back_counts_twice_where_no_ids_are_remembered() -> None:
    """A worker that is killed answers nothing: the range that is given up holds what he had counted."""
    assert any("counted twice" in failure(Choices(seed), redrives=True)[0] for seed in range(100))


def test_without_report_batch_item_failures_events_would_be_lost() -> None:
    """The function answers where the mapping has to start again, and nobody would look at it."""
    assert any("lost" in failure(Choices(seed), report_failures=False)[0] for seed in range(10))
