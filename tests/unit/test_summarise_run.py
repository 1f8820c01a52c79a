from __future__ import annotations

from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.object_store import FakeObjectStore

from penstock.flows.summarise_run import summarise_run
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.model.outcomes import SettledArrival, SettledBatch, Settlement
from penstock.model.plans import Batch, Plan, plan_key, settled_batch_key, summary_key

PLAN = "20260115T100000-000-aaaaaaaa"
KICKS = {"kick_off": {"data_pipeline": True}}


def dataset(name: str, **changes: Any) -> Dataset:
    return Dataset.model_validate(
        {
            "name": name,
            "prefix": f"{name}/",
            "format": "csv",
            "columns": [{"name": "id", "type": "integer"}],
            "table": name,
            **changes,
        }
    )


DATASETS = {"flights": dataset("flights", **KICKS), "weather": dataset("weather")}


class SettledRun:
    def __init__(self) -> None:
        self.store = FakeObjectStore()
        self.batches: list[Batch] = []

    def batch(self, name: str, *arrivals: SettledArrival, settled: bool = True) -> None:
        number = len(self.batches)
        planned = tuple(
            Arrival("landing", one.key, str(place), 1, "e", FakeClock().now()) for place, one in enumerate(arrivals)
        )
        self.batches.append(Batch(number, name, planned))
        if settled:
            document = SettledBatch(PLAN, number, name, arrivals).to_json()
            self.store.put_json(settled_batch_key(PLAN, number), document)

    def summarise(self) -> dict[str, Any]:
        plan = Plan(PLAN, FakeClock().now(), tuple(self.batches))
        self.store.put_json(plan_key(PLAN), plan.to_json())
        return summarise_run(self.store, DATASETS, PLAN)


def one(name: str, settlement: Settlement = Settlement.PROCESSED, **facts: Any) -> SettledArrival:
    return SettledArrival(name, f"incoming/{name}", settlement, **facts)


@pytest.fixture
def world() -> SettledRun:
    return SettledRun()


def test_a_good_run_says_so_in_numbers_per_dataset(world: SettledRun) -> None:
    world.batch("flights", one("f1", rows=1000, documents=1000), one("f2", rows=234, documents=234))
    world.batch("weather", one("w1", rows=7))

    told = world.summarise()

    assert told["ok"] is True
    assert told["subject"] == "Penstock: 3 of 3 files processed"
    assert told["message"].splitlines()[2:6] == [
        "dataset  files  processed  failed   rows  documents",
        "flights      2          2       0  1,234      1,234",
        "weather      1          1       0      7          0",
        "all          3          3       0  1,241      1,234",
    ]


def test_what_failed_and_what_was_put_back_is_named_with_its_reason(world: SettledRun) -> None:
    world.batch(
        "flights",
        one("bad", Settlement.FAILED, reason="the header changed"),
        one("late", Settlement.PUT_BACK, reason="it was asleep"),
        one("good", rows=1),
    )

    told = world.summarise()

    assert told["ok"] is True
    assert told["subject"] == "Penstock: 1 of 3 files processed, 1 failed, 1 put back"
    assert "- incoming/bad\n  the header changed" in told["message"]
    assert "- incoming/late\n  it was asleep" in told["message"]


def test_a_batch_that_was_not_settled_makes_the_run_not_ok_and_is_named(world: SettledRun) -> None:
    world.batch("flights", one("a", rows=1))
    world.batch("flights", one("b"), one("c"), settled=False)

    told = world.summarise()

    assert told["ok"] is False
    assert told["subject"] == "Penstock: 1 of 3 files processed, 2 UNSETTLED"
    assert "NOT SETTLED: 1 batch (1), 2 files" in told["message"]
    assert world.store.get_json(summary_key(PLAN))["unsettled"] == [1]


def test_the_summary_is_kept_with_its_numbers_and_is_the_same_again(world: SettledRun) -> None:
    world.batch("flights", one("a", rows=5, rejects=1), one("b", duplicate=True))

    told = world.summarise()
    kept = world.store.get_json(summary_key(PLAN))
    again = world.summarise()

    assert told == again
    assert kept["subject"] == told["subject"]
    assert kept["datasets"]["flights"] == {
        "files": 2,
        "processed": 2,
        "failed": 0,
        "put_back": 0,
        "died": 0,
        "unsettled": 0,
        "duplicates": 1,
        "rows": 5,
        "repeats": 0,
        "rejects": 1,
        "documents": 0,
    }


@pytest.mark.parametrize(
    ("arrival", "kicks"),
    [
        (one("new", rows=1), True),
        (one("documents alone", documents=1), True),
        (one("rows without documents", Settlement.FAILED, rows=1), True),
        (one("again", duplicate=True), False),
        (one("empty"), False),
        (one("bad", Settlement.FAILED), False),
        (one("late", Settlement.PUT_BACK), False),
    ],
    ids=lambda value: value.arrival if isinstance(value, SettledArrival) else "",
)
def test_a_dataset_is_kicked_off_when_something_new_was_loaded(
    world: SettledRun, arrival: SettledArrival, kicks: bool
) -> None:
    world.batch("flights", arrival)
    world.batch("weather", one("w", rows=1))  # It asks for no kickoff.

    assert world.summarise()["kick_offs"] == ([{"plan": PLAN, "dataset": "flights"}] if kicks else [])


def test_a_run_of_ten_thousand_bad_files_makes_a_message_that_can_be_sent(world: SettledRun) -> None:
    for _ in range(20):
        world.batch("flights", *(one("ü" * 400, Settlement.FAILED, reason="x" * 1000) for _ in range(500)))

    told = world.summarise()

    assert len(told["message"].encode()) < 32_000
    assert "- and 9,990 more" in told["message"]


def test_a_key_can_forge_no_line(world: SettledRun) -> None:
    world.batch("flights", one("a\nNOT SETTLED: all\x1b[31m", Settlement.FAILED, reason="a\nb"))

    lines = world.summarise()["message"].splitlines()

    assert "- incoming/a\\nNOT SETTLED: all\\x1b[31m" in lines
    assert "  a\\nb" in lines


def test_a_subject_is_what_sns_takes(world: SettledRun) -> None:
    for settlement in Settlement:
        world.batch("flights", *(one("a", settlement) for _ in range(300)))
    world.batch("flights", one("x"), settled=False)

    subject = world.summarise()["subject"]

    assert subject.isascii()
    assert len(subject) <= 100
    assert "\n" not in subject


def test_a_run_without_a_plan_is_a_permanent_error() -> None:
    with pytest.raises(PermanentError, match="none"):
        summarise_run(FakeObjectStore(), DATASETS, "none")
