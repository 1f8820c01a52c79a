"""S3 = ledger = rows = documents: each way in which they can disagree is named, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.runs import FakeRuns
from tests.fakes.search_index import FakeSearchIndex
from tests.fakes.warehouse import FakeWarehouse

from penstock.flows.reconcile import Kept, Scope, reconcile, what_is_read
from penstock.flows.set_aside import REASON, REJECTS, companion_key
from penstock.flows.sort_on_disk import Fact, sort_on_disk
from penstock.flows.start_backfill import start_backfill
from penstock.model.arrivals import FAILED, PROCESSED, Arrival, settled_key
from penstock.model.datasets import Dataset
from penstock.model.outcomes import Verdict
from penstock.model.plans import Batch, Plan, plan_key
from penstock.model.reconciliation import Kind, Reconciliation
from penstock.ports import Attempt, Document, ListingLease, Move, RunRecord, RunStatus

GOOD = b"id,name\n1,one\n2,two\n"
BAD = b"id,name\nx,one\n2,two\n"


def dataset(name: str = "things", **changes: Any) -> Dataset:
    columns = [{"name": "id", "type": "integer", "required": True}, {"name": "name", "type": "text"}]
    given = {"name": name, "prefix": f"{name}/", "format": "csv", "columns": columns, "table": name, "index": name}
    return Dataset.model_validate({**given, **changes})


@dataclass
class World:
    of: Dataset = field(default_factory=dataset)
    store: FakeObjectStore = field(default_factory=FakeObjectStore)
    leases: FakeLeases = field(default_factory=FakeLeases)
    runs: FakeRuns = field(default_factory=FakeRuns)
    warehouse: FakeWarehouse = field(default_factory=FakeWarehouse)
    search: FakeSearchIndex = field(default_factory=FakeSearchIndex)
    clock: FakeClock = field(default_factory=FakeClock)
    others: tuple[Dataset, ...] = ()

    def load(self, name: str, content: bytes = GOOD, of: Dataset | None = None) -> Arrival:
        """Put, loaded and indexed, and not settled yet."""
        of = of or self.of
        arrival = self.store.put(f"incoming/{of.prefix}{name}", content)
        rows = 0
        if of.table:
            self.warehouse.begin(Batch(0, of.name, (arrival,)), of, self.store)
            outcome = self.warehouse.outcomes(of, [arrival])[arrival.id]
            rows = outcome.rows if outcome.verdict is Verdict.LOADED else 0
            for old in outcome.replaced:
                self.search.delete_arrival(of.name, old)
        self.index(arrival, rows, of)
        return arrival

    def index(self, arrival: Arrival, documents: int, of: Dataset | None = None) -> None:
        source = orjson.dumps({"penstock_arrival": arrival.id})
        self.search.write(
            (of or self.of).name, [Document(f"{arrival.id}-{number}", source, number) for number in range(documents)]
        )

    def settle(self, arrival: Arrival, root: str = PROCESSED, of: Dataset | None = None) -> str:
        of = of or self.of
        key = settled_key(root, of.name, of.prefix, arrival)
        self.store.move([Move(arrival, key)])
        if list(self.warehouse.rejects(of, arrival)):
            self.tell_rejects(arrival, "warehouse", 1)
        return key

    def tell_rejects(self, arrival: Arrival, by: str, rejects: int) -> None:
        lines = [orjson.dumps({"by": by, "line": number}) for number in range(rejects)]
        self.store.put_lines(companion_key(arrival, self.of.name, self.of.prefix, REJECTS), lines)

    def done(self, name: str, content: bytes = GOOD, **given: Any) -> Arrival:
        arrival = self.load(name, content)
        outcome = self.warehouse.outcomes(self.of, [arrival])[arrival.id]
        self.settle(arrival, FAILED if outcome.verdict is Verdict.QUARANTINED else PROCESSED, **given)
        return arrival

    def run(self, *arrivals: Arrival, name: str = "20260115T100000-000-aaaaaaaa", started: bool = True) -> None:
        """A live run that holds them."""
        self.store.put_json(plan_key(name), Plan(name, self.clock.now(), (Batch(0, self.of.name, arrivals),)).to_json())
        lease = self.leases.acquire_listing("test", self.clock.now(), timedelta(minutes=1)) or ListingLease(
            "", 0, self.clock.now()
        )
        record = RunRecord(
            id=name,
            execution=self.runs.execution_of(name),
            started=self.clock.now(),
            expires=self.clock.now() + timedelta(hours=1),
            batches=1,
            files=len(arrivals),
            bytes=1,
            datasets={},
        )
        self.leases.record_run(lease, record)
        self.leases.release_listing(lease)
        if started:
            self.runs.start(name, 1)

    def reconcile(self, scope: Scope | None = None, kept: Kept | None = None, **ports: Any) -> Reconciliation:
        given = {"store": self.store, "warehouse": self.warehouse, "search": self.search, **ports}
        return reconcile(
            given["store"],
            self.leases,
            self.runs,
            given["warehouse"],
            given["search"],
            self.clock,
            {one.name: one for one in (self.of, *self.others)},
            scope or Scope(),
            kept or Kept(),
        )

    def kinds(self, **given: Any) -> dict[str, set[Kind]]:
        """What is found, by arrival id."""
        found: dict[str, set[Kind]] = {}
        for one in self.reconcile(**given).disagreements:
            assert one.what.endswith(".")
            assert one.todo.endswith(".")
            found.setdefault(one.arrival, set()).add(one.kind)
        return found


@pytest.fixture
def world() -> World:
    return World()


# ── where nothing disagrees ─────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_settled_as_it_should_be_agrees(world: World) -> None:
    world.done("good.csv")
    world.done("bad.csv", BAD)
    world.done("again.csv")
    world.done("again.csv")
    world.store.put("incoming/things/waiting.csv", GOOD)

    report = world.reconcile()

    assert report.disagreements == []
    assert report.to_json()["ok"] is True
    checked = report.checked["things"]
    assert (checked.incoming, checked.processed, checked.failed) == (1, 3, 1)
    assert (checked.rows, checked.documents) == (4, 4)


def test_what_a_later_version_replaced_agrees() -> None:
    world = World(of=dataset(on_overwrite="replace"))
    world.done("a.csv")
    world.done("a.csv", b"id,name\n9,nine\n")

    assert world.kinds() == {}
    assert world.reconcile().checked["things"].rows == 1


def test_rows_that_the_index_refused_and_told_are_no_disagreement(world: World) -> None:
    arrival = world.done("a.csv")
    world.search.delete("things", [f"{arrival.id}-0"])
    assert world.kinds() == {arrival.id: {Kind.DOCUMENTS}}

    world.tell_rejects(arrival, "search", 1)

    assert world.kinds() == {}


def test_rows_from_before_penstock_are_none_of_its_business(world: World) -> None:
    world.done("a.csv")
    counted = list(world.warehouse.rows_by_arrival(world.of))

    class Older(FakeWarehouse):
        def rows_by_arrival(self, *_: Any, **__: Any) -> Iterator[tuple[str, int]]:
            yield from [*counted, ("0" * 32, 7)]

    older = Older(_ledger=world.warehouse._ledger, _decided=world.warehouse._decided)

    assert world.kinds(warehouse=older) == {}


def test_documents_by_key_may_be_fewer_than_rows_and_never_more() -> None:
    world = World(of=dataset(index={"name": "things", "id_columns": ["id"]}))
    fewer, more = world.done("fewer.csv"), world.done("more.csv")
    world.search.delete("things", [f"{fewer.id}-0"])
    assert world.kinds() == {}

    world.index(more, 3)

    assert world.kinds() == {more.id: {Kind.DOCUMENTS}}


def test_by_key_a_duplicates_documents_are_those_of_the_rows_it_repeats() -> None:
    world = World(of=dataset(index={"name": "things", "id_columns": ["id"]}))
    world.done("a.csv")
    again = world.done("a.csv")

    world.index(again, 2)

    assert world.kinds() == {}


def test_more_rows_than_a_rejects_file_tells_may_have_been_refused(world: World) -> None:
    rows = b"".join(b"%d,x\n" % number for number in range(1500))
    arrival = world.load("a.csv", b"id,name\n" + rows)
    world.search.delete_arrival("things", arrival.id)
    world.settle(arrival)

    world.tell_rejects(arrival, "search", 999)
    assert world.kinds() == {arrival.id: {Kind.DOCUMENTS}}
    world.tell_rejects(arrival, "search", 1000)
    assert world.kinds() == {}


def test_a_dataset_without_a_table_is_compared_with_its_index_alone() -> None:
    world = World(of=dataset(table=None))
    good = world.load("good.csv")
    world.index(good, 2)
    world.settle(good)
    assert world.kinds() == {}

    bad = world.load("bad.csv")
    world.index(bad, 2)
    world.settle(bad, FAILED)

    assert world.kinds() == {bad.id: {Kind.DOCUMENTS}}


def test_what_the_stack_does_not_have_is_not_compared(world: World) -> None:
    arrival = world.done("a.csv")
    world.search.delete("things", [f"{arrival.id}-0"])
    world.warehouse.lose_row(world.of, arrival)

    assert world.kinds(search=None) == {arrival.id: {Kind.ROWS}}
    assert world.kinds(search=None, warehouse=None) == {}


# ── each disagreement ───────────────────────────────────────────────────────────────────────────────────────────────


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


# ── what goes on meanwhile ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("started", [True, False])
def test_what_a_live_run_is_at_work_on_is_not_judged(world: World, started: bool) -> None:
    arrival = world.load("a.csv")
    world.run(arrival, started=started)

    assert world.kinds() == {}
    assert world.reconcile().checked["things"].in_flight == 1


def test_what_a_live_backfill_claims_is_in_flight_and_is_judged_when_that_has_ended(world: World) -> None:
    arrival = world.load("a.csv")
    lease = world.leases.acquire_listing("test", world.clock.now(), timedelta(minutes=1))
    assert lease
    run = start_backfill(world.leases, world.runs, world.clock, lease, [], "incoming/", 100, 10**9, 8)

    claimed = world.kinds()
    world.runs.finish(run)

    assert claimed == {}
    assert arrival.id in world.kinds()


def test_a_run_that_is_over_holds_nothing_though_no_listing_has_seen_it_end(world: World) -> None:
    arrival = world.load("a.csv")
    world.run(arrival)
    world.runs.finish("20260115T100000-000-aaaaaaaa", RunStatus.ABORTED)

    assert world.kinds() == {arrival.id: {Kind.NOT_SETTLED}}


def test_a_run_that_begins_and_ends_while_this_reads_is_not_judged(world: World) -> None:
    arrival = world.store.put("incoming/things/a.csv", GOOD)

    class Meanwhile(FakeWarehouse):
        def ledger(self, dataset: Dataset, after: str = "") -> Iterator[Any]:
            # S3 has been listed by now, and the file was in incoming/: then it is loaded.
            world.run(arrival)
            self.begin(Batch(0, "things", (arrival,)), dataset, world.store)
            world.settle(arrival)
            world.runs.finish("20260115T100000-000-aaaaaaaa")
            world.leases.end_run("20260115T100000-000-aaaaaaaa", RunStatus.SUCCEEDED, world.clock.now())
            return FakeWarehouse.ledger(self, dataset, after)

    assert world.kinds(warehouse=Meanwhile()) == {}


# ── how much is looked at ───────────────────────────────────────────────────────────────────────────────────────────


def test_one_dataset_alone() -> None:
    other = dataset("others")
    world = World(others=(other,))
    mine, theirs = world.load("a.csv"), world.load("a.csv", of=other)

    assert world.kinds(scope=Scope("others")) == {theirs.id: {Kind.NOT_SETTLED}}
    assert world.kinds() == {mine.id: {Kind.NOT_SETTLED}, theirs.id: {Kind.NOT_SETTLED}}


def test_datasets_that_share_a_table_are_told_apart_by_the_ledger() -> None:
    other = dataset("others", table="things", index=None)
    world = World(of=dataset(index=None), others=(other,))
    mine, theirs = world.load("a.csv"), world.load("a.csv", of=other)

    assert world.kinds(scope=Scope("others")) == {theirs.id: {Kind.NOT_SETTLED}}
    assert world.reconcile(scope=Scope("others")).checked.keys() == {"others"}
    assert {one.dataset for one in world.reconcile().disagreements} == {"things", "others"}
    assert world.kinds().keys() == {mine.id, theirs.id}


def test_since_judges_what_was_decided_since(world: World) -> None:
    old = world.load("old.csv")
    new = world.load("new.csv")

    assert world.kinds(scope=Scope(since=new.modified)) == {new.id: {Kind.NOT_SETTLED}}
    assert world.kinds(scope=Scope(since=old.modified)).keys() == {old.id, new.id}


def test_the_first_ten_thousand_are_kept_and_all_are_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reconciliation, "MOST", 2)
    for number in range(3):
        world.load(f"{number}.csv")

    report = world.reconcile()

    assert len(report.disagreements) == 2
    assert report.total == 3
    assert report.to_json()["cut"] is True


def test_what_would_be_read_names_every_place(world: World) -> None:
    lines = list(what_is_read("landing", {"things": world.of}, Scope("things", datetime(2026, 1, 1, tzinfo=UTC))))

    text = "\n".join(lines)
    for part in ("s3://landing/incoming/things/", "s3://landing/failed/things/", "public.things", "index things"):
        assert part in text
    assert "since 2026-01-01" in text


def test_facts_are_sorted_beyond_what_memory_holds_and_keep_their_order() -> None:
    facts: list[Fact] = [(f"{number % 7}", "kind", [number]) for number in range(100)]

    assert list(sort_on_disk(iter(facts), piece=9)) == sorted(facts, key=lambda fact: fact[0])
    assert list(sort_on_disk(iter(facts), piece=1000)) == sorted(facts, key=lambda fact: fact[0])
    assert list(sort_on_disk(iter([]))) == []


def test_facts_that_were_on_disk_are_judged_alike(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.flows.sort_on_disk.PIECE", 3)
    monkeypatch.setattr("penstock.flows.reconcile.sort_on_disk", lambda facts: sort_on_disk(facts, piece=3))
    arrivals = [world.done(f"{number}.csv") for number in range(5)]
    world.warehouse.lose_row(world.of, arrivals[3])

    assert world.kinds() == {arrivals[3].id: {Kind.ROWS}}
