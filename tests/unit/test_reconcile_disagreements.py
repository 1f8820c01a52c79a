"""Each way in which S3, ledger, rows and documents can disagree is named, and nothing else is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.fakes.object_store import FakeObjectStore
from tests.unit.reconciling import BAD, GOOD, World, dataset

from penstock.flows.reconcile import Kept
from penstock.flows.set_aside import REASON, REJECTS, companion_key
from penstock.model.arrivals import FAILED, PROCESSED, settled_key
from penstock.model.reconciliation import Kind
from penstock.ports import Attempt, Move


@pytest.fixture
def world() -> World:
    return World()


def test_a_row_that_is_gone_and_one_too_many_are_told_with_both_numbers(world: World) -> None:
    fewer, more = world.done("fewer.csv"), world.done("more.csv")
    world.warehouse.lose_row(world.of, fewer)
    world.warehouse.add_rows(world.of, more)

    assert world.kinds() == {fewer.id: {Kind.ROWS}, more.id: {Kind.ROWS}}
    told = {one.arrival: one.what for one in world.reconcile().disagreements}
    assert "2 rows, and public.things has 1" in told[fewer.id]
    assert "2 rows, and public.things has 3" in told[more.id]


def test_merged_rows_that_others_took_the_place_of_are_none_too_few() -> None:
    columns = [{"name": "id", "type": "integer", "required": True}, {"name": "name", "type": "text", "required": True}]
    world = World(of=dataset(columns=columns, index=None, upsert={"key": ["id"], "order_by": "name"}))
    fewer, more = world.done("fewer.csv"), world.done("more.csv")  # The same rows: of equals the later put stay.
    assert dict(world.warehouse.rows_by_arrival(world.of)) == {more.id: 2}
    assert world.kinds() == {}

    world.warehouse.add_rows(world.of, more)
    world.warehouse.add_rows(world.of, fewer)

    assert world.kinds() == {more.id: {Kind.ROWS}}


def test_repeats_of_events_are_no_rows_that_are_missing_and_a_lost_event_is_told() -> None:
    columns = [{"name": "id", "type": "integer", "required": True}, {"name": "name", "type": "text"}]
    world = World(of=dataset(columns=columns, index=None, event_id="id"))
    first, again = world.done("first.csv"), world.done("again.csv")  # The same rows.
    assert {entry.arrival: (entry.rows, entry.repeats) for entry in world.warehouse.ledger(world.of)} == {
        first.id: (2, 0),
        again.id: (0, 2),
    }
    assert world.kinds() == {}

    world.warehouse.lose_row(world.of, first)

    assert world.kinds() == {first.id: {Kind.ROWS}}


def test_rows_of_an_arrival_that_the_ledger_does_not_know(world: World) -> None:
    stranger = FakeObjectStore("elsewhere").put("a.csv", GOOD)
    world.warehouse.add_rows(world.of, stranger, 3)

    assert world.kinds() == {stranger.id: {Kind.UNKNOWN_ROWS}}


def test_a_quarantined_file_with_rows(world: World) -> None:
    bad = world.done("bad.csv", BAD)
    world.warehouse.add_rows(world.of, bad)

    assert world.kinds() == {bad.id: {Kind.ROWS_NOT_LOADED}}


def test_a_file_in_processed_that_the_ledger_does_not_know(world: World) -> None:
    arrival = world.done("a.csv")
    world.warehouse.forget(world.of, arrival)

    assert world.kinds() == {arrival.id: {Kind.NO_LEDGER_ROW, Kind.UNKNOWN_ROWS, Kind.UNKNOWN_DOCUMENTS}}


def test_a_file_that_was_copied_lies_in_two_places(world: World) -> None:
    arrival = world.done("2013/a.csv")
    [key] = world.store.keys("processed/")
    world.store.put(key.replace("2013/", "2014/"), GOOD)

    [found] = world.reconcile().disagreements

    assert (found.arrival, found.kind) == (arrival.id, Kind.TWO_PLACES)
    assert "2013/" in found.what
    assert "2014/" in found.what


def test_a_move_that_stopped_half_way_lies_in_two_places_until_a_run_ends_it(world: World) -> None:
    arrival = world.load("a.csv")
    world.store.put(settled_key(PROCESSED, "things", "things/", arrival), GOOD)

    assert world.kinds() == {arrival.id: {Kind.TWO_PLACES}}
    world.run(arrival)
    assert world.kinds() == {}


def test_a_file_that_failed_though_its_rows_are_loaded(world: World) -> None:
    arrival = world.load("a.csv")
    world.settle(arrival, FAILED)

    [found] = world.reconcile().disagreements

    assert (found.arrival, found.kind) == (arrival.id, Kind.WRONG_PLACE)
    assert "2 rows of it ARE loaded" in found.what


def test_a_quarantined_file_among_the_processed(world: World) -> None:
    arrival = world.load("bad.csv", BAD)
    world.settle(arrival, PROCESSED)

    assert world.kinds() == {arrival.id: {Kind.WRONG_PLACE}}


def test_a_file_that_is_loaded_and_still_in_incoming(world: World) -> None:
    arrival = world.load("a.csv")

    assert world.kinds() == {arrival.id: {Kind.NOT_SETTLED}}


def test_documents_of_what_is_not_settled_yet_are_not_counted_against_it(world: World) -> None:
    arrival = world.load("a.csv")
    world.search.delete_arrival("things", arrival.id)

    assert world.kinds() == {arrival.id: {Kind.NOT_SETTLED}}


def test_one_that_was_put_back_waits_and_does_not_disagree(world: World) -> None:
    arrival = world.load("a.csv")
    world.leases.put_back([Attempt(arrival.id, 1, world.clock.now() + timedelta(hours=1), "the index is down")])

    assert world.kinds() == {}


def test_a_file_that_is_nowhere_unless_it_has_expired(world: World) -> None:
    arrival = world.done("a.csv")
    [key] = world.store.keys("processed/")
    world.store.delete(key)

    assert world.kinds() == {arrival.id: {Kind.NOWHERE}}
    world.clock.advance(timedelta(days=8))
    assert world.kinds(kept=Kept(processed=7)) == {}
    assert world.kinds(kept=Kept(failed=7)) == {arrival.id: {Kind.NOWHERE}}


def test_a_file_that_was_overwritten_where_it_lies(world: World) -> None:
    arrival = world.done("a.csv")
    [key] = world.store.keys("processed/")
    world.store.put(key, b"something else")

    assert world.kinds() == {arrival.id: {Kind.CHANGED}}


def test_an_object_that_penstock_did_not_put_there(world: World) -> None:
    world.store.put("processed/things/mine.csv", GOOD)
    world.store.put("processed/things/folder/", b"")

    [found] = world.reconcile().disagreements

    assert (found.kind, found.key, found.dataset) == (Kind.STRANGER, "processed/things/mine.csv", "things")


def test_documents_that_are_gone_too_many_or_of_nobody(world: World) -> None:
    gone, bad = world.done("gone.csv"), world.done("bad.csv", BAD)
    stranger = FakeObjectStore("elsewhere").put("a.csv", GOOD)
    world.search.delete_arrival("things", gone.id)
    world.index(bad, 1)
    world.index(stranger, 1)

    assert world.kinds() == {
        gone.id: {Kind.DOCUMENTS},
        bad.id: {Kind.DOCUMENTS},
        stranger.id: {Kind.UNKNOWN_DOCUMENTS},
    }


def test_rejects_without_their_file_and_a_file_without_its_rejects(world: World) -> None:
    arrival = world.done("bad.csv", BAD)
    stranger = FakeObjectStore("elsewhere").put("incoming/things/b.csv", GOOD)
    world.store.delete(companion_key(arrival, "things", "things/", REJECTS))
    world.store.put_json(companion_key(stranger, "things", "things/", REASON), {})

    assert world.kinds() == {arrival.id: {Kind.REJECTS_MISSING}, stranger.id: {Kind.ORPHAN_REJECTS}}


def test_a_file_that_a_producer_called_like_a_companion_is_a_file(world: World) -> None:
    arrival = world.load("a.rejects.jsonl", BAD)
    world.settle(arrival, FAILED)

    assert world.kinds() == {}


def test_a_file_that_no_dataset_claims_is_looked_for_in_s3_alone(world: World) -> None:
    arrival = world.store.put("incoming/strangers/a.csv", GOOD)
    world.store.move([Move(arrival, settled_key(FAILED, "_unclaimed", "", arrival))])
    assert world.kinds() == {}

    world.store.put(f"failed/_unclaimed/copy/{arrival.id}-a.csv", GOOD)

    assert world.kinds() == {arrival.id: {Kind.TWO_PLACES}}
