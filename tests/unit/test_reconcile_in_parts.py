"""A reconcile that goes on at each call finds what one that looks at all of it finds, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.object_store import FakeObjectStore
from tests.unit.reconciling import BAD, GOOD, World, dataset

from penstock.flows import reconcile_in_parts
from penstock.flows.reconcile import Kept, report_key
from penstock.flows.reconcile_in_parts import FACTS, LONGEST, PLACE, Portion, Rounds
from penstock.flows.reconcile_round import Round
from penstock.flows.set_aside import REASON, companion_key
from penstock.flows.start_backfill import start_backfill
from penstock.model.errors import PermanentError
from penstock.model.plans import Batch
from penstock.model.reconciliation import Kind, Reconciliation
from penstock.ports import RunStatus

RUN = "20260115T100000-000-aaaaaaaa"


class TickingClock(FakeClock):
    """A second goes by whenever somebody looks at it."""

    def now(self) -> datetime:
        self.advance(timedelta(seconds=1))
        return self.at


def rounds(world: World, facts: int = 3, **given: Any) -> Rounds:
    portion, kept = given.pop("portion", Portion(facts=facts)), given.pop("kept", Kept())
    datasets = {one.name: one for one in (world.of, *world.others)}
    parts = (world.store, world.leases, world.warehouse, world.search, world.clock, datasets, kept)
    return Rounds(*parts, portion)


def completed(world: World, facts: int = 3, begins: bool = True, **given: Any) -> tuple[Reconciliation, int]:
    """What a round finds, and how many calls that took."""
    for calls in range(1, 1000):
        found = rounds(world, facts, **given).go_on("call", begins=begins and calls == 1)
        assert found
        if found.complete:
            return found.report, calls
    raise AssertionError("it does not come to an end")


def kinds(report: Reconciliation) -> dict[str, set[Kind]]:
    found: dict[str, set[Kind]] = {}
    for one in report.disagreements:
        found.setdefault(one.arrival, set()).add(one.kind)
    return found


def read_to(world: World, source: str) -> Round:
    """A round that has read what comes before that, and maybe a little of it."""
    found = rounds(world, 1).go_on("call", begins=True)
    assert found
    wanted = next(number for number, name in enumerate(found.sources) if name.startswith(source))
    while found.now.read < wanted:
        found = rounds(world, 1).go_on("call", begins=False)
        assert found
    return found


@pytest.fixture
def world() -> World:
    return World()


def everything_wrong(world: World) -> None:
    arrivals = [world.done(f"{number}.csv") for number in range(20)]
    world.load("unsettled.csv")
    bad = world.done("bad.csv", BAD)
    for number in range(3):
        world.store.put("incoming/things/waiting.csv", GOOD + b"%d,x\n" % number)
    world.store.put("processed/things/stranger.csv", GOOD)
    world.store.put("processed/things/a/stranger.csv", GOOD)
    world.store.put_json(companion_key(FakeObjectStore("elsewhere").put("b", GOOD), "things", "", REASON), {})
    world.warehouse.lose_row(world.of, arrivals[3])
    world.warehouse.forget(world.of, arrivals[4])
    world.warehouse.add_rows(world.of, bad)
    world.search.delete_arrival("things", arrivals[5].id)
    world.store.delete(world.store.keys("processed/things/").__next__())


@pytest.mark.parametrize("facts", [1, 2, 7, 50])
def test_in_parts_of_any_size_it_says_what_it_says_at_once(world: World, facts: int) -> None:
    everything_wrong(world)
    whole = world.reconcile().to_json()

    report, calls = completed(world, facts)
    told = report.to_json()

    def but_order(one: dict[str, Any]) -> dict[str, Any]:
        return {**one, "disagreements": sorted(map(str, one["disagreements"]))}

    assert calls > 1
    assert whole["disagreeing_arrivals"] >= 9
    assert but_order(told) == but_order(whole)
    assert world.store.get_json(report_key(report.began)) == told
    assert rounds(world).go_on("call", begins=False) is None


def test_what_one_call_has_time_for_leaves_a_report_and_nothing_else(world: World) -> None:
    everything_wrong(world)

    report, calls = completed(world, 10_000)

    assert calls == 1
    assert list(world.store.keys("plans/reconcile/")) == [report_key(report.began)]
    assert kinds(report) == world.kinds()


def test_versions_of_a_key_are_read_in_one_call(world: World) -> None:
    for number in range(5):
        world.store.put("incoming/things/a.csv", GOOD + b"%d,x\n" % number)

    assert completed(world, 2)[0].checked["things"].incoming == 5


def test_a_call_that_only_goes_on_begins_nothing(world: World) -> None:
    world.load("a.csv")

    assert rounds(world).go_on("call", begins=False) is None
    assert list(world.store.keys("plans/")) == []


@pytest.mark.parametrize("source", ["failed/", "ledger", "rows", "documents"])
def test_what_is_loaded_between_two_calls_is_in_flight_and_what_lies_still_is_judged(world: World, source: str) -> None:
    still = [world.done(f"{number}.csv") for number in range(4)]
    world.warehouse.lose_row(world.of, still[0])
    coming = world.store.put("incoming/things/coming.csv", GOOD)
    read_to(world, source)

    world.run(coming)
    world.warehouse.begin(Batch(0, "things", (coming,)), world.of, world.store)
    world.index(coming, 2)
    world.settle(coming)
    world.runs.finish(RUN)
    world.leases.end_run(RUN, RunStatus.SUCCEEDED, world.clock.now())
    report, _ = completed(world, begins=False)

    assert kinds(report) == {still[0].id: {Kind.ROWS}}
    assert report.checked["things"].in_flight == 1


def test_what_a_run_holds_that_ends_between_two_calls_is_in_flight(world: World) -> None:
    coming = world.load("coming.csv")
    world.run(coming)
    read_to(world, "processed/")

    world.settle(coming)
    world.leases.end_run(RUN, RunStatus.SUCCEEDED, world.clock.now())
    report, _ = completed(world, begins=False)

    assert kinds(report) == {}
    assert report.checked["things"].in_flight == 1


def test_rows_that_are_replaced_between_ledger_and_rows_do_not_disagree() -> None:
    world = World(of=dataset(on_overwrite="replace"))
    old = [world.done("a.csv", b"id,name\n9,nine\n"), world.done("a.csv")]
    read_to(world, "rows")

    new = world.load("a.csv", b"id,name\n1,one\n")
    world.run(new)
    world.settle(new)
    world.leases.end_run(RUN, RunStatus.SUCCEEDED, world.clock.now())
    report, _ = completed(world, begins=False)

    assert kinds(report) == {}
    assert (report.checked["things"].arrivals, report.checked["things"].in_flight) == (3, 2)
    world.warehouse.add_rows(world.of, old[0])
    assert kinds(completed(world)[0]) == {old[0].id: {Kind.ROWS_NOT_LOADED}}


def test_what_comes_to_a_backfill_after_incoming_was_listed_is_in_flight(world: World) -> None:
    still = world.done("still.csv")
    world.warehouse.lose_row(world.of, still)
    lease = world.leases.acquire_listing("test", world.clock.now(), timedelta(minutes=1))
    assert lease
    run = start_backfill(world.leases, world.runs, world.clock, lease, [], "incoming/", 100, 10**9, 8)
    read_to(world, "ledger")

    coming = world.store.put("incoming/things/coming.csv", GOOD, world.clock.now() + timedelta(minutes=1))
    world.warehouse.begin(Batch(0, "things", (coming,)), world.of, world.store)
    world.index(coming, 2)
    world.settle(coming)
    world.leases.end_run(run, RunStatus.SUCCEEDED, world.clock.now())

    assert kinds(completed(world, begins=False)[0]) == {still.id: {Kind.ROWS}}


def test_a_file_that_expires_before_it_is_listed_is_not_looked_for(world: World) -> None:
    settled = world.done("a.csv")
    world.store.put("incoming/things/waiting.csv", GOOD)
    world.clock.at = settled.modified + timedelta(days=7, minutes=-5)
    found = rounds(world, 1).go_on("call", begins=True)
    assert found
    assert (found.now.reads, found.now.after) == ("processed/", "")

    world.store.delete(next(world.store.keys("processed/")))
    world.clock.advance(timedelta(minutes=10))

    assert kinds(completed(world, begins=False, kept=Kept(processed=7))[0]) == {}


def test_two_calls_at_once_do_it_twice_and_mix_nothing(world: World) -> None:
    everything_wrong(world)
    whole = world.kinds()
    read_to(world, "ledger")
    place = world.store.get_json(PLACE)

    rounds(world, 5).go_on("one", begins=False)
    ahead = world.store.get_json(PLACE)
    world.store.put_json(PLACE, place)
    rounds(world, 2).go_on("another", begins=True)

    assert ahead["looks"][0]["parts"].keys() != world.store.get_json(PLACE)["looks"][0]["parts"].keys()
    assert kinds(completed(world, begins=False)[0]) == whole


def test_a_call_ends_when_its_time_is_over_and_the_next_goes_on(world: World) -> None:
    everything_wrong(world)
    whole = world.reconcile().to_json()["by_kind"]
    world.clock = TickingClock()
    portion = Portion(reading=timedelta(seconds=30), judging=timedelta(seconds=90))

    report, calls = completed(world, portion=portion)

    assert 4 < calls < 16
    assert report.to_json()["by_kind"] == whole


def test_a_statement_that_may_be_slow_has_the_time_of_a_call_to_itself(world: World) -> None:
    world.done("a.csv")
    world.clock = TickingClock()
    portion = Portion(reading=timedelta(seconds=8), judging=timedelta(seconds=9))

    first = rounds(world, portion=portion).go_on("call", begins=True)

    assert first
    assert first.now.reads == "rows of public.things"


def test_other_datasets_begin_it_anew(world: World) -> None:
    everything_wrong(world)
    read_to(world, "rows")
    other = dataset("others")
    world.others = (other,)
    lost = world.load("a.csv", of=other)

    report, _ = completed(world, begins=False)

    assert kinds(report)[lost.id] == {Kind.NOT_SETTLED}
    assert report.checked.keys() == {"things", "others"}


def test_what_an_earlier_release_left_open_is_begun_anew(world: World) -> None:
    everything_wrong(world)
    read_to(world, "rows")
    left = world.store.get_json(PLACE)
    world.store.put_json(
        PLACE, {"beginning": left["beginning"], "sources": left["sources"], "after": "of another kind"}
    )

    assert kinds(completed(world, begins=False)[0]) == world.kinds()


def test_what_was_open_with_other_datasets_is_open_no_more_when_one_call_does_it_all(world: World) -> None:
    everything_wrong(world)
    read_to(world, "rows")
    world.others = (dataset("others"),)

    assert completed(world, 10_000, begins=False)[1] == 1
    assert rounds(world).go_on("call", begins=False) is None


def test_one_that_does_not_come_to_an_end_is_given_up_and_told_until_the_next_begins(world: World) -> None:
    everything_wrong(world)
    read_to(world, "rows")
    world.clock.advance(LONGEST + timedelta(minutes=1))

    for _ in range(2):  # Lambda calls it again when it has failed.
        with pytest.raises(PermanentError, match=r"3 days.*reading rows of public.things.*begins anew"):
            rounds(world).go_on("late", begins=False)

    assert rounds(world).go_on("later", begins=False) is None
    assert kinds(completed(world)[0]) == world.kinds()


def test_facts_that_are_gone_are_no_facts_that_were_not_there(world: World) -> None:
    everything_wrong(world)
    read_to(world, "documents")
    world.store.delete(next(world.store.keys(FACTS)))

    with pytest.raises(PermanentError, match="is gone"):
        completed(world, begins=False)
    assert rounds(world).go_on("later", begins=False) is None


def test_more_runs_than_can_be_looked_back_on_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile_in_parts, "_RUNS", 2)
    world.run(world.load("before.csv"))
    read_to(world, "documents")

    for number in range(2):
        world.run(world.load(f"{number}.csv"), name=f"20260115T10000{number}-001-aaaaaaaa")

    with pytest.raises(PermanentError, match="2 runs have begun since 2026-01-15 10:00"):
        completed(world, begins=False)


def test_runs_that_ended_long_before_hold_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """More are looked back on at the end than were known at the beginning: older ones are not later ones."""
    monkeypatch.setattr("penstock.flows.in_flight._RUNS", 1)
    lost = world.load("lost.csv")
    world.run(lost, name="20260114T100000-000-aaaaaaaa")
    world.leases.end_run("20260114T100000-000-aaaaaaaa", RunStatus.FAILED, world.clock.now())
    world.run(name=RUN)

    assert kinds(completed(world)[0]) == {lost.id: {Kind.NOT_SETTLED}}


def test_ids_that_nobody_made_have_a_slice_as_well(world: World) -> None:
    world.done("a.csv")
    for odd in ("zz", "-", "A0", "f"):
        world.search.documents["things"][odd] = {"penstock_arrival": odd}

    assert kinds(completed(world)[0]) == {odd: {Kind.UNKNOWN_DOCUMENTS} for odd in ("zz", "-", "A0", "f")}


def test_what_the_stack_does_not_have_is_not_read(world: World) -> None:
    world.done("a.csv")
    made = Rounds(world.store, world.leases, None, None, world.clock, {"things": world.of}, Kept())

    found = made.go_on("call", begins=True)

    assert found
    assert found.sources == ["incoming/", "processed/", "failed/"]
