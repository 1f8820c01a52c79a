"""What `Leases` promises, of the fake and of DynamoDB (MiniStack)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.fakes.leases import FakeLeases

from penstock.adapters.dynamodb import DynamoLeases
from penstock.model.backfills import Claim
from penstock.model.breakers import Breaker
from penstock.model.errors import TransientError
from penstock.ports import Attempt, Leases, ListingLease, Memo, RunRecord, RunStatus

NOW = datetime(2026, 1, 15, 10, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["fake", "dynamodb"])
def leases(request: pytest.FixtureRequest) -> Leases:
    if request.param == "fake":
        return FakeLeases()
    return DynamoLeases(request.getfixturevalue("dynamodb"), request.getfixturevalue("table"))


def held(lease: ListingLease | None) -> ListingLease:
    assert lease is not None
    return lease


def run(number: int = 1) -> RunRecord:
    return RunRecord(
        id=f"20260115T10000{number}-000-aaaaaaaa",
        execution=f"arn:aws:states:us-east-1:000000000000:execution:ingest:{number}",
        started=NOW,
        expires=NOW + timedelta(hours=2),
        batches=3,
        files=120,
        bytes=2**40,
        datasets={"flights": 100, "_unclaimed": 20},
        sizes={"flights": 2**39, "_unclaimed": 2**39},
    )


def attempt(arrival: str, attempts: int = 1) -> Attempt:
    return Attempt(arrival, attempts, NOW + attempts * MINUTE, "the warehouse was asleep: é", "20260115T100000-abc")


def test_what_is_known_of_an_arrival_comes_back_whole(leases: Leases) -> None:
    known = replace(attempt("a" * 32), crashes=2, unsettled=3)

    leases.put_back([known])

    assert leases.waiting() == {known.arrival: known}


# ── the listing lease ───────────────────────────────────────────────────────────────────────────────────────────────


def test_one_at_a_time_holds_the_listing(leases: Leases) -> None:
    first = leases.acquire_listing("a", NOW, MINUTE)
    second = leases.acquire_listing("b", NOW, MINUTE)

    assert held(first).expires == NOW + MINUTE
    assert second is None


def test_a_released_lease_is_free(leases: Leases) -> None:
    kept = leases.release_listing(held(leases.acquire_listing("a", NOW, MINUTE)))

    assert kept is False
    assert leases.acquire_listing("b", NOW, MINUTE) is not None


def test_who_was_refused_makes_the_holder_list_once_more_and_just_once(leases: Leases) -> None:
    lease = held(leases.acquire_listing("a", NOW, MINUTE))
    leases.acquire_listing("b", NOW, MINUTE)
    leases.acquire_listing("c", NOW, MINUTE)

    again = leases.release_listing(lease)
    refused = leases.acquire_listing("d", NOW, MINUTE)
    once_more = leases.release_listing(lease)
    last = leases.release_listing(lease)

    assert again is True
    assert refused is None
    assert once_more is True
    assert last is False
    assert leases.acquire_listing("e", NOW, MINUTE) is not None


def test_an_expired_lease_is_taken_over_with_a_greater_token(leases: Leases) -> None:
    dead = held(leases.acquire_listing("a", NOW, MINUTE))

    early = leases.acquire_listing("b", NOW + MINUTE - timedelta(seconds=1), MINUTE)
    heir = leases.acquire_listing("b", NOW + MINUTE, MINUTE)

    assert early is None
    assert held(heir).token > dead.token


def test_a_holder_that_was_overtaken_releases_nothing(leases: Leases) -> None:
    dead = held(leases.acquire_listing("a", NOW, MINUTE))
    leases.acquire_listing("b", NOW + MINUTE, MINUTE)

    kept = leases.release_listing(dead)

    assert kept is False
    assert leases.acquire_listing("c", NOW + MINUTE, MINUTE) is None


def test_the_mark_of_a_listing_that_died_is_not_lost(leases: Leases) -> None:
    leases.acquire_listing("dies", NOW, MINUTE)
    leases.acquire_listing("asks", NOW, MINUTE)

    heir = held(leases.acquire_listing("heir", NOW + MINUTE, MINUTE))

    assert leases.release_listing(heir) is True


def test_the_holder_prolongs_its_lease_and_keeps_the_mark(leases: Leases) -> None:
    first = held(leases.acquire_listing("a", NOW, MINUTE))
    leases.acquire_listing("b", NOW, MINUTE)

    second = held(leases.acquire_listing("a", NOW + MINUTE / 2, MINUTE))

    assert second.expires == NOW + MINUTE * 1.5
    assert leases.acquire_listing("b", NOW + MINUTE, MINUTE) is None
    assert leases.release_listing(first) is False
    assert leases.release_listing(second) is True


def test_of_many_at_once_one_gets_the_lease(leases: Leases) -> None:
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: leases.acquire_listing(f"owner-{n}", NOW, MINUTE), range(8)))

    assert len([lease for lease in got if lease]) == 1


# ── runs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_recorded_run_is_live_and_comes_back_as_it_was(leases: Leases) -> None:
    leases.record_run(held(leases.acquire_listing("a", NOW, MINUTE)), run())

    assert list(leases.live_runs()) == [run()]
    assert list(leases.runs(10)) == [run()]


def test_an_ended_run_leases_nothing_and_stays_in_the_history(leases: Leases) -> None:
    leases.record_run(held(leases.acquire_listing("a", NOW, MINUTE)), run())

    leases.end_run(run().id, RunStatus.FAILED, NOW + MINUTE)

    assert list(leases.live_runs()) == []
    assert list(leases.runs(10)) == [replace(run(), live=False, status=RunStatus.FAILED, ended=NOW + MINUTE)]


def test_ending_a_run_twice_keeps_the_first_end(leases: Leases) -> None:
    leases.record_run(held(leases.acquire_listing("a", NOW, MINUTE)), run())

    leases.end_run(run().id, RunStatus.SUCCEEDED, NOW)
    leases.end_run(run().id, RunStatus.ABORTED, NOW + MINUTE)

    assert [(one.status, one.ended) for one in leases.runs(1)] == [(RunStatus.SUCCEEDED, NOW)]


def test_ending_a_run_that_never_was_makes_none(leases: Leases) -> None:
    leases.end_run("none", RunStatus.SUCCEEDED, NOW)

    assert list(leases.runs(10)) == []


def test_a_holder_that_was_overtaken_records_no_run(leases: Leases) -> None:
    dead = held(leases.acquire_listing("a", NOW, MINUTE))
    leases.acquire_listing("b", NOW + MINUTE, MINUTE)

    with pytest.raises(TransientError):
        leases.record_run(dead, run())

    assert list(leases.live_runs()) == []


def test_nobody_records_a_run_with_a_lease_that_was_given_back(leases: Leases) -> None:
    lease = held(leases.acquire_listing("a", NOW, MINUTE))
    leases.release_listing(lease)

    with pytest.raises(TransientError):
        leases.record_run(lease, run())


def test_recording_a_run_again_is_harmless(leases: Leases) -> None:
    lease = held(leases.acquire_listing("a", NOW, MINUTE))

    leases.record_run(lease, run())
    leases.record_run(lease, run())

    assert len(leases.live_runs()) == 1


def test_runs_are_told_newest_first_and_no_more_than_asked_for(leases: Leases) -> None:
    lease = held(leases.acquire_listing("a", NOW, MINUTE))
    for number in (2, 1, 3):
        leases.record_run(lease, run(number))

    assert [one.id for one in leases.runs(2)] == [run(3).id, run(2).id]


# ── arrivals that were put back ─────────────────────────────────────────────────────────────────────────────────────


def test_put_back_arrivals_wait_until_they_are_forgotten(leases: Leases) -> None:
    leases.put_back([attempt("a"), attempt("b")])
    leases.put_back([attempt("b", 2)])

    leases.forget(["a", "never put back"])

    assert leases.waiting() == {"b": attempt("b", 2)}


def test_many_are_put_back_and_forgotten(leases: Leases) -> None:
    names = [f"{number:032x}" for number in range(120)]

    leases.put_back([attempt(name) for name in names])
    waiting = leases.waiting()
    leases.forget(names)

    assert sorted(waiting) == names
    assert leases.waiting() == {}


@pytest.mark.parametrize("others", [0, 250])
def test_the_attempts_of_some_are_those_of_no_others_however_many_wait(leases: Leases, others: int) -> None:
    mine = [attempt("0 the first"), attempt("m between"), attempt("z the last")]
    leases.put_back([*mine, *(attempt(f"{number:032x}") for number in range(others))])
    names = [one.arrival for one in mine]

    before = leases.attempts_of([*names, "never put back", names[0]])
    none = leases.attempts_of([])
    leases.forget(names)

    assert before == {one.arrival: one for one in mine}
    assert none == leases.attempts_of(names) == {}
    assert len(leases.waiting()) == others


def test_putting_back_and_forgetting_nothing_is_nothing(leases: Leases) -> None:
    leases.put_back([])
    leases.forget([])

    assert leases.waiting() == {}


# ── circuit breakers ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_breaker_is_open_until_it_is_closed(leases: Leases) -> None:
    first = Breaker("warehouse", NOW, NOW + MINUTE, 1, "connection refused")
    second = replace(first, failures=2, probe=run().id, probe_at=NOW + 2 * MINUTE)
    other = Breaker("search", NOW, NOW + MINUTE, 1, "503")
    none = leases.breakers()

    leases.open_breaker(first)
    leases.open_breaker(second)
    leases.open_breaker(other)

    assert none == {}
    assert leases.breakers() == {"warehouse": second, "search": other}


def test_closing_a_breaker_twice_is_harmless_and_opens_it_for_nobody_else(leases: Leases) -> None:
    leases.open_breaker(Breaker("warehouse", NOW, NOW + MINUTE, 1, "connection refused"))
    leases.open_breaker(Breaker("search", NOW, NOW + MINUTE, 1, "503"))

    leases.close_breaker("warehouse")
    leases.close_breaker("warehouse")

    assert leases.breakers().keys() == {"search"}
    assert leases.waiting() == {}


# ── kickoffs ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_kickoff_can_be_claimed_until_it_was_finished(leases: Leases) -> None:
    before = [leases.claim_kick_off("run", "flights"), leases.claim_kick_off("run", "flights")]
    leases.finish_kick_off("run", "flights", "df-1")

    assert before == [True, True]
    assert leases.claim_kick_off("run", "flights") is False
    assert leases.claim_kick_off("run", "weather") is True
    assert leases.claim_kick_off("run-2", "flights") is True


# ── memos ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_memo_is_kept_in_the_place_of_the_one_that_was_read(leases: Leases) -> None:
    first = leases.keep_memo(Memo("flights", '{"files": 1}'))
    leases.keep_memo(Memo("weather", "é"))

    second = leases.keep_memo(Memo("flights", '{"files": 2}', version=1))

    assert first is second is True
    assert leases.memos() == {"flights": Memo("flights", '{"files": 2}', 2), "weather": Memo("weather", "é", 1)}


def test_a_memo_that_another_has_changed_since_is_left_alone(leases: Leases) -> None:
    leases.keep_memo(Memo("flights", "first"))
    leases.keep_memo(Memo("flights", "second", version=1))

    late = leases.keep_memo(Memo("flights", "late", version=1))
    unaware = leases.keep_memo(Memo("flights", "unaware"))
    of_one_lost = leases.keep_memo(Memo("weather", "was there once", version=3))

    assert (late, unaware, of_one_lost) == (False, False, False)
    assert leases.memos() == {"flights": Memo("flights", "second", 2)}


def test_of_two_who_keep_a_memo_at_once_one_does(leases: Leases) -> None:
    for version in range(3):
        with ThreadPoolExecutor(2) as pool:
            kept = list(pool.map(leases.keep_memo, [Memo("flights", text, version) for text in ("a", "b")]))

        assert sorted(kept) == [False, True]


def test_what_a_backfill_claims_comes_back_with_its_run(leases: Leases) -> None:
    backfill = replace(run(), claim=Claim("incoming/flights/é/", NOW))

    leases.record_run(held(leases.acquire_listing("a", NOW, MINUTE)), backfill)

    assert list(leases.live_runs()) == [backfill]
