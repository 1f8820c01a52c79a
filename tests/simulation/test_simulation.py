"""A day of the month that `make simulation` goes through, with all that can happen in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.simulation.judge import late, overloads, wrong_alarms
from tests.simulation.latency import table
from tests.simulation.month import BEGIN, HOUR, LIMITS, Seen, World, month
from tests.template.deployment import REPOSITORY


@pytest.fixture(scope="module")
def day() -> Seen:
    return month(
        World(
            days=1,
            outages=[(BEGIN + 8 * HOUR, BEGIN + 9.5 * HOUR)],
            floods=[(BEGIN + 13 * HOUR, BEGIN + 14 * HOUR, 1.8)],
            silences=[(BEGIN + 18 * HOUR, BEGIN + 20.5 * HOUR)],
            limits=replace(LIMITS, parallel=8),
        ),
        seed=3,
    )


def test_the_destination_s_limits_are_never_exceeded(day: Seen) -> None:
    assert overloads(day) == []
    assert day.most_connections > day.world.limits.parallel, "no two runs at once: nothing was tried"


def test_no_file_waits_past_its_bound_while_there_is_room_and_a_small_dataset_s_never(day: Seen) -> None:
    found, judged = late(day)

    assert found == []
    assert judged > 500


def test_the_alarms_ring_when_they_should_and_only_then(day: Seen) -> None:
    assert wrong_alarms(day) == []


def test_every_file_is_settled_in_the_end(day: Seen) -> None:
    until = BEGIN + timedelta(hours=23)

    assert [key for key, at in day.arrived.items() if at < until and key not in day.settled] == []


def test_the_judge_sees_what_is_wrong(day: Seen) -> None:
    first = next(iter(day.arrived))
    kept_waiting = replace(day, planned={**day.planned, first: day.arrived[first] + HOUR})
    crowded = replace(day, most_connections=day.world.limits.at_work + 1, leased=[(BEGIN, LIMITS.files + 1)])
    otherwise = replace(day, world=replace(day.world, outages=[], silences=[(BEGIN, BEGIN + HOUR)]))

    assert [fault.split()[0] for fault in late(kept_waiting)[0]] == [first]
    assert len(overloads(crowded)) == 2
    assert {fault.split()[0] for fault in wrong_alarms(otherwise)} == {"BacklogGrowsAlarm", "BacklogNotFallingAlarm"}


def test_the_curve_of_latency_and_dollars_in_the_docs_is_the_state_machine_s() -> None:
    assert table() in (REPOSITORY / "docs" / "costs.md").read_text()
