"""What a backfill is said to take before it starts is what its own planner would plan, within what is promised."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.unit.backfilling import Backfilling

from penstock.flows.measure_backfill import Size, measure_backfill
from penstock.flows.plan_backfill import PartLimits
from penstock.local.backfill_cost import BATCH_TRANSITIONS, estimate
from penstock.local.history import history_of
from penstock.model.arrivals import INCOMING

MILLION = 1_000_000
SMALL_FILES = Size(MILLION, MILLION, 20 * MILLION, MILLION // 100, MILLION, Counter(readings=MILLION))


def test_a_million_small_files_take_a_tenth_of_a_transition_each_and_ten_dollars_of_which_five_are_s3s_moves() -> None:
    told = estimate(SMALL_FILES, at_once=8)

    assert told.transitions / told.files <= 0.1
    assert told.dollars <= 10
    assert "1,000,000 COPY" in next(line.what for line in told.lines if line.service == "S3")


def test_twice_as_many_batches_at_once_take_half_the_hours() -> None:
    assert estimate(SMALL_FILES, 16).hours == pytest.approx(estimate(SMALL_FILES, 8).hours / 2)


def test_nothing_takes_nothing_for_its_files() -> None:
    told = estimate(Size(), 8)

    assert (told.files, told.batches, told.hours, told.per_million) == (0, 0, 0.0, 0.0)


def test_what_is_measured_is_what_is_planned() -> None:
    world = Backfilling()
    world.fill(95)
    world.fill(7, "weather")

    found = measure_backfill(world.store, world.leases, world.clock, world.datasets, INCOMING)
    planned = world.plan(world.start(), 0, PartLimits())

    batches = world.batches(planned)
    assert found.batches == len(batches)
    assert found.files == found.opened == sum(len(batch.arrivals) for batch in batches)
    assert dict(found.datasets) == {"flights": 95, "weather": 7}


def test_the_transitions_of_a_batch_are_those_of_the_definition() -> None:
    from tests.workflow.definition import BACKFILL, definition

    entered = {
        "type": "MapStateEntered",
        "stateEnteredEventDetails": {"name": "Work the part", "input": '{"batches": 10}'},
    }

    assert history_of([entered], definition(BACKFILL)).transitions == 1 + 10 * BATCH_TRANSITIONS
