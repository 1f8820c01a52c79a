"""Settling: where each arrival goes, with what beside it."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.warehouse import FakeWarehouse
from tests.unit.settling import GOOD, MOST, ONE_BAD_ROW, Refusing, World, dataset, failed

from penstock.flows.load_batch import begin_load
from penstock.model.arrivals import UNCLAIMED
from penstock.model.breakers import tripped
from penstock.model.errors import DestinationDownError, TransientError
from penstock.model.outcomes import Settlement


@pytest.fixture
def world() -> World:
    return World()


# ── loaded ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_loaded_and_indexed_goes_to_processed(world: World) -> None:
    arrival = world.put("2026/a.csv", GOOD)

    told = world.run(arrival)[arrival.id]

    target = f"processed/things/2026/{arrival.id}-a.csv"
    assert (told.settlement, told.rows, told.documents, told.settled_key) == (Settlement.PROCESSED, 2, 2, target)
    assert world.store.everything("incoming/") == {}
    assert world.store.content(target) == GOOD
    assert world.store.everything("failed/") == {}


def test_the_counts_are_answered(world: World) -> None:
    plan = world.plan(world.put("a.csv", GOOD), world.put("b.csv", b""), world.put("c.csv", GOOD + b"3,three\n"))
    world.work(plan)

    assert world.settle(plan) == {"processed": 2, "failed": 1, "put_back": 0}


def test_a_dataset_with_a_table_alone_needs_no_index(world: World) -> None:
    world.of = dataset(index=False)
    arrival = world.put("a.csv", GOOD)

    told = world.run(arrival)[arrival.id]

    assert (told.settlement, told.rows, told.documents) == (Settlement.PROCESSED, 2, 0)


def test_a_stack_without_an_index_works_its_tables(world: World) -> None:
    world.has_search = False
    arrival = world.put("a.csv", GOOD)

    assert world.run(arrival)[arrival.id].settlement is Settlement.PROCESSED


def test_identical_bytes_put_again_are_a_duplicate_and_leave_no_documents(world: World) -> None:
    first = world.put("a.csv", GOOD)
    world.run(first)
    again = world.put("a.csv", GOOD)

    told = world.run(again)[again.id]

    assert (told.settlement, told.duplicate, told.rows, told.documents) == (Settlement.PROCESSED, True, 0, 0)
    assert world.search.count("things", first.id) == 2
    assert world.search.count("things", again.id) == 0


def test_a_duplicate_whose_documents_were_written_before_the_ledger_spoke_leaves_none(world: World) -> None:
    world.run(world.put("a.csv", GOOD))
    again = world.put("a.csv", GOOD)
    plan = world.plan(again)
    world.work(plan, load=False)
    world.work(plan, index=False)

    world.settle(plan)

    assert world.search.count("things") == 2
    assert world.search.count("things", again.id) == 0


def test_the_documents_of_a_replaced_arrival_go(world: World) -> None:
    world.of = dataset(on_overwrite="replace")
    old = world.put("a.csv", GOOD)
    world.run(old)
    new = world.put("a.csv", b"id,name\n9,nine\n")

    world.run(new)

    assert world.warehouse.rows(world.of) == [("9", "nine")]
    assert world.search.count("things", old.id) == 0
    assert world.search.count("things") == 1


# ── rejects ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rejects_within_tolerance_are_set_beside_and_have_no_document(world: World) -> None:
    world.of = dataset(max_reject_ratio=0.5)
    arrival = world.put("a.csv", ONE_BAD_ROW)

    told = world.run(arrival)[arrival.id]

    (reject,) = world.lines(f"failed/things/{arrival.id}-a.csv.rejects.jsonl")
    assert (told.settlement, told.rows, told.rejects, told.documents) == (Settlement.PROCESSED, 3, 1, 3)
    assert (reject["file"], reject["line"], reject["column"], reject["by"]) == (arrival.key, 3, "id", "warehouse")
    assert reject["raw"].startswith("x,two")
    assert {document["name"] for document in world.search.documents["things"].values()} == {"one", "three", "four"}
    assert world.store.everything("processed/")


def test_rows_that_only_the_index_refused_are_named_after_the_warehouses(world: World) -> None:
    world.of = dataset(max_reject_ratio=0.5)
    world.search.refuses = lambda source: "no three" if source["name"] == "three" else ""
    arrival = world.put("a.csv", ONE_BAD_ROW)

    told = world.run(arrival)[arrival.id]

    by = [(reject["by"], reject["line"]) for reject in world.lines(f"failed/things/{arrival.id}-a.csv.rejects.jsonl")]
    assert by == [("warehouse", 3), ("search", 4)]
    assert (told.rows, told.rejects, told.documents) == (3, 1, 2)


def test_a_quarantined_file_goes_to_failed_with_its_rejects_and_its_reason(world: World) -> None:
    arrival, neighbour = world.put("a.csv", ONE_BAD_ROW), world.put("b.csv", GOOD)

    told = world.run(arrival, neighbour)

    target = f"failed/things/{arrival.id}-a.csv"
    reason = world.store.get_json(f"{target}.reason.json")
    assert told[arrival.id].settlement is Settlement.FAILED
    assert told[neighbour.id].settlement is Settlement.PROCESSED
    assert world.store.content(target) == ONE_BAD_ROW
    assert (reason["key"], reason["arrival"], reason["reason"]) == (arrival.key, arrival.id, told[arrival.id].reason)
    assert "1 of 4 rows" in reason["reason"]
    assert len(world.lines(f"{target}.rejects.jsonl")) == 1
    assert world.search.count("things", arrival.id) == 0
    assert world.search.count("things", neighbour.id) == 2


def test_a_file_that_is_none_goes_to_failed(world: World) -> None:
    arrival = world.put("a.csv.gz", gzip.compress(GOOD)[:-9])

    told = world.run(arrival)[arrival.id]

    assert told.settlement is Settlement.FAILED
    assert told.reason
    assert not world.store.everything(f"failed/things/{arrival.id}-a.csv.gz.rejects.jsonl")


# ── put back ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_the_ledger_did_not_decide_is_put_back_with_a_growing_wait(world: World) -> None:
    arrival = world.put("a.csv", GOOD)
    waits, attempts = [], []

    for _ in range(MOST - 1):
        plan = world.plan(arrival)
        counts = world.settle(plan, load=failed())
        waiting = world.leases.waiting()[arrival.id]
        waits.append(waiting.not_before - world.clock.now())
        attempts.append(waiting.attempts)

    assert counts == {"processed": 0, "failed": 0, "put_back": 1}
    assert waits == [timedelta(seconds=30), timedelta(seconds=60)]
    assert attempts == [1, 2]
    assert waiting.reason == "TransientError: it was asleep"
    assert world.store.content(arrival.key) == GOOD


@pytest.mark.parametrize(
    ("error", "died"),
    [
        ("Lambda.Unknown", True),
        ("Runtime.ExitError", True),
        ("States.Timeout", False),
        ("Sandbox.Timedout", False),
        ("TransientError", False),
    ],
)
def test_what_a_worker_died_of_is_told_from_what_a_destination_kept_waiting_or_refused(
    world: World, error: str, died: bool
) -> None:
    arrival = world.put("a.csv", GOOD)
    plan = world.plan(arrival)
    loaded = world.put("b.csv", GOOD)
    beside = world.plan(loaded)
    world.work(beside)

    world.settle(plan, load={"status": "failed", "error": error, "cause": ""})
    world.settle(beside, index={"status": "failed", "error": error, "cause": ""})

    assert world.settled(plan)[arrival.id].died is died
    assert world.settled(beside)[loaded.id].died is died


def test_after_the_last_attempt_it_is_quarantined_in_the_ledger_and_fails(world: World) -> None:
    arrival = world.put("a.csv", GOOD)
    for _ in range(MOST):
        plan = world.plan(arrival)
        world.settle(plan, load=failed())

    told = world.settled(plan)[arrival.id]
    world.work(world.plan(arrival))

    assert told.settlement is Settlement.FAILED
    assert "after 3 attempts" in told.reason
    assert "it was asleep" in told.reason
    assert world.leases.waiting() == {}
    assert world.warehouse.rows(world.of) == []


def test_a_load_that_committed_late_is_followed_and_not_quarantined(world: World) -> None:
    arrival = world.put("a.csv", GOOD)
    for _ in range(MOST - 1):
        world.settle(world.plan(arrival), load=failed())
    plan = world.plan(arrival)
    world.work(plan, load=False)

    class Late(FakeWarehouse):
        def quarantine(self, *given: Any) -> None:
            begin_load(world.store, world.warehouse, world.datasets, plan, 0)
            super().quarantine(*given)

    world.warehouse = Late()
    world.settle(plan, load=failed("States.Timeout"))

    assert world.settled(plan)[arrival.id].settlement is Settlement.PROCESSED
    assert len(world.warehouse.rows(world.of)) == 2


def test_a_good_load_beside_a_failed_search_branch_is_put_back_and_not_loaded_twice(world: World) -> None:
    arrival = world.put("a.csv", GOOD)
    plan = world.plan(arrival)
    world.work(plan, index=False)

    world.settle(plan, index=failed("429"))
    put_back = world.settled(plan)[arrival.id]
    later = world.run(arrival)[arrival.id]

    assert (put_back.settlement, put_back.rows, put_back.reason) == (Settlement.PUT_BACK, 0, "TransientError: 429")
    assert (later.settlement, later.rows, later.documents) == (Settlement.PROCESSED, 2, 2)
    assert len(world.warehouse.rows(world.of)) == 2
    assert world.leases.waiting() == {}


def test_documents_that_never_come_fail_the_file_and_say_that_its_rows_are_loaded(world: World) -> None:
    arrival = world.put("a.csv", GOOD)
    for _ in range(MOST):
        plan = world.plan(arrival)
        world.work(plan, index=False)
        world.settle(plan, index=failed("mapping conflict"))

    told = world.settled(plan)[arrival.id]

    assert (told.settlement, told.rows) == (Settlement.FAILED, 2)
    assert "rows are loaded" in told.reason
    assert "mapping conflict" in told.reason


def test_a_search_branch_that_said_nothing_of_a_file_is_no_success(world: World) -> None:
    arrival = world.put("a.csv", GOOD)
    plan = world.plan(arrival)
    world.work(plan, index=False)

    world.settle(plan)

    assert world.settled(plan)[arrival.id].settlement is Settlement.PUT_BACK


def test_a_warehouse_that_is_down_opens_its_breaker_and_uses_up_nobodys_attempts(world: World) -> None:
    tried, fresh = world.put("a.csv", GOOD), world.put("b.csv", GOOD)
    world.settle(world.plan(tried), load=failed())
    plan = world.plan(tried, fresh)
    world.warehouse.fails = DestinationDownError("warehouse", "connection refused")

    counts = world.settle(plan, load=failed())

    (breaker,) = world.leases.breakers().values()
    assert counts == {"processed": 0, "failed": 0, "put_back": 2}
    assert (breaker.destination, breaker.opened, breaker.failures) == ("warehouse", world.clock.now(), 1)
    assert "connection refused" in breaker.reason
    assert {id_: attempt.attempts for id_, attempt in world.leases.waiting().items()} == {tried.id: 1}
    assert world.store.content(tried.key) == GOOD


@pytest.mark.parametrize("branch", ["load", "index"])
@pytest.mark.parametrize("destination", ["warehouse", "search"])
def test_a_branch_that_found_its_destination_down_counts_no_attempt_though_that_is_back_again(
    world: World, branch: str, destination: str
) -> None:
    arrival = world.put("a.csv", GOOD)
    plan = world.plan(arrival)
    world.work(plan, index=False)

    world.settle(plan, **{branch: failed(str(DestinationDownError(destination, "it refuses connections")))})

    assert world.settled(plan)[arrival.id].settlement is Settlement.PUT_BACK
    assert world.leases.waiting() == {}
    assert world.leases.breakers().keys() == {destination}


@pytest.mark.parametrize("how", [DestinationDownError("search", "503"), TransientError("did not answer in time")])
def test_an_index_that_does_not_answer_when_its_branch_has_failed_is_down(world: World, how: TransientError) -> None:
    arrival = world.put("a.csv", GOOD)
    plan = world.plan(arrival)
    world.work(plan, index=False)
    world.search.fails = how

    world.settle(plan, index=failed("did not answer in time"))

    assert world.leases.waiting() == {}
    assert world.leases.breakers().keys() == {"search"}


def test_a_batch_that_its_destinations_answered_closes_their_breakers(world: World) -> None:
    for destination in ("warehouse", "search"):
        world.leases.open_breaker(tripped(None, destination, "another", world.clock.now(), "refused"))

    world.run(world.put("a.csv", GOOD))

    assert world.leases.breakers() == {}


def test_a_batch_that_does_not_go_there_leaves_a_breaker_open(world: World) -> None:
    world.of = dataset(index=False)
    world.leases.open_breaker(tripped(None, "search", "another", world.clock.now(), "refused"))

    world.run(world.put("a.csv", GOOD))

    assert world.leases.breakers().keys() == {"search"}


# ── workers that die ────────────────────────────────────────────────────────────────────────────────────────────────


CRASHED = {"status": "failed", "error": "Sandbox.Timedout", "cause": "Task timed out after 900.00 seconds"}


def test_a_worker_that_dies_is_counted_and_no_file_among_others_is_given_up_for_it(world: World) -> None:
    one, other = world.put("a.csv", GOOD), world.put("b.csv", GOOD)
    for _ in range(MOST + 2):
        world.settle(world.plan(one, other), load=CRASHED)

    assert {(attempt.attempts, attempt.crashes) for attempt in world.leases.waiting().values()} == {(5, 5)}


def test_a_file_that_kills_its_workers_alone_is_quarantined_and_told_what_to_do(world: World) -> None:
    arrival = world.put("a.csv", GOOD)
    world.settle(world.plan(arrival), load=failed())
    for _ in range(MOST - 1):
        plan = world.plan(arrival)
        world.settle(plan, load=CRASHED)

    told = world.settled(plan)[arrival.id]
    assert told.settlement is Settlement.FAILED
    assert "It crashed its worker 2 times, at last alone in its batch (Sandbox.Timedout" in told.reason
    assert "split the file, or raise MemorySize" in told.reason
    assert world.leases.waiting() == {}


def test_a_file_that_kills_the_workers_of_the_index_says_that_its_rows_are_loaded(world: World) -> None:
    arrival = world.put("a.csv", GOOD)
    for _ in range(MOST):
        plan = world.plan(arrival)
        world.work(plan, index=False)
        world.settle(plan, index=CRASHED)

    told = world.settled(plan)[arrival.id]
    assert (told.settlement, told.rows) == (Settlement.FAILED, 2)
    assert "Its rows are loaded, its documents are not complete: It crashed its worker 3 times" in told.reason


# ── an index alone ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_table_the_index_decides(world: World) -> None:
    world.of = dataset(table=False)
    world.search.refuses = lambda source: "no two" if source["name"] == "two" else ""
    clean, bad, none = (
        world.put("a.csv", b"id,name\n1,one\n"),
        world.put("b.csv", GOOD),
        world.put("c.csv", b"what\n1\n"),
    )

    told = world.run(clean, bad, none)

    assert (told[clean.id].settlement, told[clean.id].documents) == (Settlement.PROCESSED, 1)
    assert (told[bad.id].settlement, told[bad.id].rejects) == (Settlement.FAILED, 1)
    assert "1 of 2 rows" in told[bad.id].reason
    assert told[none.id].settlement is Settlement.FAILED
    assert [document["name"] for document in world.search.documents["things"].values()] == ["one"]


def test_without_a_table_rejects_within_tolerance_are_set_beside(world: World) -> None:
    world.of = dataset(table=False, max_reject_ratio=0.5)
    world.search.refuses = lambda source: "no two" if source["name"] == "two" else ""
    arrival = world.put("a.csv", GOOD)

    told = world.run(arrival)[arrival.id]

    assert (told.settlement, told.documents, told.rejects) == (Settlement.PROCESSED, 1, 1)
    assert [one["by"] for one in world.lines(f"failed/things/{arrival.id}-a.csv.rejects.jsonl")] == ["search"]


def test_without_a_table_a_failed_branch_puts_back_and_in_the_end_fails(world: World) -> None:
    world.of = dataset(table=False)
    arrival = world.put("a.csv", GOOD)
    ends = []
    for _ in range(MOST):
        plan = world.plan(arrival)
        world.settle(plan, index=failed("down"))
        ends.append(world.settled(plan)[arrival.id].settlement)

    assert ends == [Settlement.PUT_BACK, Settlement.PUT_BACK, Settlement.FAILED]


def test_an_empty_share_of_nothing_is_within_any_tolerance(world: World) -> None:
    world.of = dataset(table=False)
    arrival = world.put("a.csv", b"id,name\n")

    assert world.run(arrival)[arrival.id].settlement is Settlement.PROCESSED


# ── nobody's ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_that_nobody_claims_fails_and_says_which_prefixes_exist(world: World) -> None:
    arrival = world.store.put("incoming/thing/a.csv", GOOD)
    plan = world.plan(arrival, name=UNCLAIMED)

    world.settle(plan)

    told = world.settled(plan)[arrival.id]
    assert (told.settlement, told.settled_key) == (Settlement.FAILED, f"failed/_unclaimed/thing/{arrival.id}-a.csv")
    assert "incoming/things/" in told.reason
    assert arrival.key in told.reason
    assert world.store.get_json(f"{told.settled_key}.reason.json")["reason"] == told.reason


def test_files_of_a_dataset_that_was_removed_meanwhile_are_left_for_the_next_listing(world: World) -> None:
    arrival = world.store.put("incoming/gone/a.csv", GOOD)
    plan = world.plan(arrival, name="gone")

    world.settle(plan, load=failed("PermanentError"))

    assert world.settled(plan)[arrival.id].settlement is Settlement.PUT_BACK
    assert world.leases.waiting() == {}


def test_files_of_a_dataset_that_was_added_meanwhile_are_not_failed(world: World) -> None:
    arrival = world.put("a.csv", GOOD)
    plan = world.plan(arrival, name=UNCLAIMED)

    world.settle(plan)

    assert world.settled(plan)[arrival.id].settlement is Settlement.PUT_BACK


def test_a_file_that_somebody_deleted_is_told_and_holds_up_no_other(world: World) -> None:
    gone, there = world.put("a.csv", GOOD), world.put("b.csv", GOOD)
    plan = world.plan(gone, there)
    world.work(plan)
    world.store._versions[gone.key].clear()

    counts = world.settle(plan)

    assert counts == {"processed": 1, "failed": 0, "put_back": 1}
    assert "is gone" in world.settled(plan)[gone.id].reason


def test_attempts_are_not_forgotten_while_the_file_still_lies_in_incoming(world: World) -> None:
    arrival = world.put("a.csv", GOOD)
    world.settle(world.plan(arrival), load=failed())
    plan = world.plan(arrival)
    world.work(plan)

    class Stuck(FakeObjectStore):
        def move(self, moves: Any) -> Mapping[str, str]:
            raise TransientError("SlowDown")

    stuck = Stuck()
    stuck.__dict__.update(world.store.__dict__)
    with pytest.raises(TransientError):
        world.settle(plan, store=stuck)

    assert world.leases.waiting()[arrival.id].attempts == 1


class AskedOfSome(FakeLeases):
    """Tells what waits of those that are asked for, and keeps whom it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def waiting(self) -> Mapping[str, Any]:
        raise AssertionError("a batch has asked for all that wait")

    def attempts_of(self, arrivals: Sequence[str]) -> Mapping[str, Any]:
        self.asked |= set(arrivals)
        return super().attempts_of(arrivals)


def test_a_batch_asks_for_the_attempts_of_its_own_files_and_of_no_others(world: World) -> None:
    world.leases = leases = AskedOfSome()
    bad, good, back = world.put("bad.csv", GOOD), world.put("good.csv", GOOD), world.put("back.csv", GOOD)
    plan, later = world.plan(bad, good), world.plan(back)
    world.work(plan)

    world.settle(plan, store=Refusing(world.store, "bad.csv"))
    world.settle(later, load=failed("a lock timed out"))

    assert leases.asked == {bad.id, good.id, back.id}
