"""A slice of the random schedules; `make faults` runs ten thousand. A failure names its seed:

`python -m tests.faults.schedules --seed N` works it again, shrunk to what matters, and tells it step by step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from tests.conftest import Postgres
from tests.faults.schedules.campaign import campaign, failure_of
from tests.faults.schedules.choices import Choices, shrunk
from tests.faults.schedules.warehouses import FakeBench, PostgresBench

IN_MEMORY = 300
ON_POSTGRES = 20


@pytest.fixture
def on_postgres(postgres: Postgres) -> Iterator[PostgresBench]:
    bench = PostgresBench(postgres.owner, postgres.loader)
    yield bench
    bench.close()


def test_the_invariants_hold_whatever_happens_when() -> None:
    tally = campaign(FakeBench(), first=0, schedules=IN_MEMORY)

    print(tally)  # noqa: T201 - how many, where a person looks
    assert not tally.failures, str(tally.failures[0][1])


def test_the_invariants_hold_with_the_real_postgresql(on_postgres: PostgresBench) -> None:
    tally = campaign(on_postgres, first=0, schedules=ON_POSTGRES)

    print(tally)  # noqa: T201 - how many, where a person looks
    assert not tally.failures, str(tally.failures[0][1])


def test_a_schedule_is_a_function_of_its_choices() -> None:
    bench = FakeBench()
    first = Choices(seed=7)
    failure_of(bench, first)

    again = Choices(replay=first.made)
    failure_of(bench, again)

    assert again.made == first.made


def test_a_failing_schedule_shrinks_to_the_choices_that_matter() -> None:
    def fails(choices: Sequence[int]) -> bool:
        return sum(choice >= 3 for choice in choices) >= 2

    assert shrunk([0, 1, 5, 0, 0, 2, 3, 7, 0, 4, 1], fails) in ([5, 3], [3, 4], [7, 4], [5, 7], [5, 4], [3, 7])
