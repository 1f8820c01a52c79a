"""Interleavings that have cost others files, and those that the random schedules found here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from tests.conftest import Postgres
from tests.faults.schedules.choices import Choices
from tests.faults.schedules.oracle import check
from tests.faults.schedules.producers import DATASETS
from tests.faults.schedules.warehouses import Bench, FakeBench, PostgresBench
from tests.faults.schedules.world import World, without_threads

from penstock.model.datasets import Dataset
from penstock.model.documents import Document

FIRST, SECOND = b"id,name\n1,one\n2,two\n", b"id,name\n3,three\n"


@pytest.fixture(autouse=True)
def _in_one_thread() -> Iterator[None]:
    with without_threads():
        yield


@pytest.fixture
def on_postgres(postgres: Postgres) -> Iterator[PostgresBench]:
    bench = PostgresBench(postgres.owner, postgres.loader)
    yield bench
    bench.close()


def world_on(bench: Bench) -> World:
    world = World(Choices(), bench)
    world.scheduler.switching = False
    return world


def once_before(world: World, step: str, call: str, happens: Callable[[], object]) -> list[str]:
    """Has it happen when a task of that step is about to make that call, the first time; when, for a test to see."""
    happened: list[str] = []

    def before(name: str) -> None:
        task = world.scheduler.current
        if not happened and task and task.name.startswith(step) and name.startswith(call):
            happened.append(task.name)
            happens()

    world.seam.before = before
    return happened


def settle_all(world: World) -> None:
    world.heal()
    check(world)


# ── awslabs/aws-lambda-redshift-loader #244: a file joins a batch between the read and the lock ─────────────────────


@pytest.mark.parametrize("call", ["leases.acquire", "leases.live_runs", "leases.waiting", "store.arrivals",
                                  "store.put_json", "leases.record_run", "runs.start", "leases.release"])  # fmt: skip
@pytest.mark.parametrize("key", ["incoming/appended/a.csv", "incoming/appended/0.csv"])
def test_a_file_that_comes_between_the_read_and_the_lease_is_not_lost(call: str, key: str) -> None:
    world = world_on(FakeBench())
    world.put("incoming/appended/a.csv", FIRST)
    joined = once_before(world, "list_incoming", call, lambda: world.put(key, SECOND, events=()))

    settle_all(world)

    assert joined
    assert len(world.puts) == 2


@pytest.mark.parametrize("call", ["store.get_json", "warehouse.begin", "store.open"])
def test_a_file_that_comes_while_its_key_is_loaded_is_loaded_after_it(on_postgres: PostgresBench, call: str) -> None:
    world = world_on(on_postgres)
    world.put("incoming/replaced/a.csv", FIRST)
    joined = once_before(world, "begin_load", call, lambda: world.put("incoming/replaced/a.csv", SECOND, events=(0.0,)))

    settle_all(world)

    assert joined
    assert sorted(row for _, row in on_postgres.rows(_dataset("replaced"))) == [("3", "three")]


def test_a_lister_that_sleeps_past_its_lease_records_no_run_of_what_another_has_planned() -> None:
    world = world_on(FakeBench())
    asleep = {"leases.record_run": 150.0, "runs.start": 5.0}  # The first lister, then the one that took over from it.

    def before(call: str) -> None:
        if seconds := asleep.pop(call, 0.0):
            world.scheduler.sleep(seconds)  # Virtual seconds: nobody waits.

    world.seam.before = before
    world.put("incoming/appended/a.csv", FIRST, events=(0.0, 149.9))

    settle_all(world)

    assert not asleep
    assert [run.files for run in world.leases.runs(10)] == [1]


# ── each function, killed once at each of its calls ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "step", ["list_incoming", "begin_load", "index_batch", "settle_batch", "summarise_run", "kick_off"]
)
@pytest.mark.parametrize("times", [1, 6], ids=["once", "until its run gives up"])
def test_a_function_that_is_killed_at_any_of_its_calls_is_made_up_for(step: str, times: int) -> None:
    at = 0
    while killed_at_call(step, at, times):
        at += 1

    assert at >= 2


def killed_at_call(step: str, at: int, times: int) -> bool:
    """Whether an invocation of the step made so many calls; the first ones that did were killed there.

    The files: one to load, one over it, one that kills its loaders.
    """
    world = world_on(FakeBench())
    calls: Counter[str] = Counter()
    killed: list[str] = []

    def before(_: str) -> None:
        task = world.scheduler.current
        if task and task.name.startswith(step):
            calls[task.name] += 1
            if calls[task.name] == at + 1 and len(killed) < times:
                killed.append(task.name)
                world.seam.die()

    world.seam.before = before
    for content in (FIRST, SECOND):
        world.put("incoming/replaced/a.csv", content)
    world.put("incoming/appended/b.csv", b"id,name\n7,poison\n")
    settle_all(world)
    return bool(killed)


# ── a zombie: a Lambda that was given up on, and commits late ───────────────────────────────────────────────────────


@pytest.mark.parametrize("call", ["store.get_json", "warehouse.begin", "store.open"])
@pytest.mark.parametrize("folder", ["appended", "replaced", "refused"])
def test_a_load_that_was_given_up_on_and_commits_late_changes_nothing(
    on_postgres: PostgresBench, call: str, folder: str
) -> None:
    world = world_on(on_postgres)

    def given_up_on() -> None:
        world.abort(next(iter(world.running)))
        world.scheduler.sleep(600)  # At `store.open` inside its transaction, with its ledger rows inserted.

    zombie = once_before(world, "begin_load", call, given_up_on)
    world.put(f"incoming/{folder}/a.csv", FIRST)

    settle_all(world)

    assert zombie
    assert sorted(row for _, row in on_postgres.rows(_dataset(folder))) == [("1", "one"), ("2", "two")]


def test_a_load_that_was_given_up_on_loads_nothing_of_what_was_quarantined_meanwhile(
    on_postgres: PostgresBench,
) -> None:
    world = world_on(on_postgres)
    arrival = world.put("incoming/appended/a.csv", FIRST)

    def given_up_on() -> None:
        world.abort(next(iter(world.running)))
        on_postgres.raw().quarantine(_dataset("appended"), [arrival], "an operator set it aside")
        world.scheduler.sleep(600)

    zombie = once_before(world, "begin_load", "warehouse.begin", given_up_on)
    world.heal()

    assert zombie
    assert on_postgres.rows(_dataset("appended")) == []
    assert len(list(world.store.keys("failed/appended/"))) == 2


@pytest.mark.parametrize("call", ["store.open", "search.write", "warehouse.outcomes", "store.put_json"])
@pytest.mark.parametrize("folder", ["appended", "replaced"])
def test_an_indexing_that_was_given_up_on_and_writes_late_leaves_the_loaded_rows_documents(
    call: str, folder: str
) -> None:
    world = world_on(FakeBench())

    def given_up_on() -> None:
        world.abort(next(iter(world.running)))
        world.put(f"incoming/{folder}/a.csv", SECOND)
        world.scheduler.sleep(600)

    zombie = once_before(world, "index_batch", call, given_up_on)
    world.put(f"incoming/{folder}/a.csv", FIRST)

    settle_all(world)

    assert zombie


@pytest.mark.parametrize("call", ["store.open", "search.write", "store.put_json"])
def test_an_indexing_that_was_given_up_on_leaves_no_document_of_a_file_that_was_refused_meanwhile(call: str) -> None:
    world = world_on(FakeBench())
    zombie = given_up_on_at(world, call)
    world.put("incoming/searched/a.csv", b"id,name\n1,one\nx,no number\n")

    settle_all(world)

    assert zombie
    assert list(world.store.keys("failed/searched/"))
    assert world.search.documents["searched"] == {}


def test_an_indexing_that_writes_while_its_file_is_being_refused_leaves_no_document() -> None:
    """Between the settling's first look at the index and its decision, where nobody could be told of it yet."""
    world = world_on(FakeBench())
    arrival = world.put("incoming/searched/a.csv", b"id,name\n1,one\nx,no number\n")
    source = b'{"id":1,"name":"one","penstock_arrival":"%b","penstock_loaded_at":"2026-01-15T10:00:00+00:00"}'
    late = Document("late-0", source % arrival.id.encode(), 2)
    written = once_before(
        world,
        "settle_batch",
        "store.put_json plans/",
        lambda: world.search.write("searched", [late]),
    )

    settle_all(world)

    assert written
    assert world.search.documents["searched"] == {}


@pytest.mark.parametrize("call", ["store.open", "search.write"])
@pytest.mark.parametrize("folder", ["keyed", "found"])
def test_a_late_indexing_of_an_older_file_takes_no_newer_document_s_place(call: str, folder: str) -> None:
    world = world_on(FakeBench())
    zombie = given_up_on_at(world, call, lambda: world.put(f"incoming/{folder}/a.csv", b"id,name\n1,newer\n"))
    world.put(f"incoming/{folder}/a.csv", FIRST)

    settle_all(world)

    assert zombie
    names = sorted(one["name"] for one in world.search.documents[folder].values())
    assert names == (["newer"] if folder == "keyed" else ["newer", "two"])


@pytest.mark.parametrize("call", ["store.open", "search.write"])
def test_a_late_indexing_leaves_no_document_of_a_row_that_the_warehouse_rejected(call: str) -> None:
    world = world_on(FakeBench())
    zombie = given_up_on_at(world, call)
    world.put("incoming/appended/a.csv", b"id,name\n1,one\nx,no number\n")

    settle_all(world)

    assert zombie
    assert [one["id"] for one in world.search.documents["appended"].values()] == [1]


def test_what_a_settling_refused_and_did_not_move_is_refused_by_the_next_run_too() -> None:
    """It may have been about to say otherwise: then a late indexing would ask a decision that no longer holds."""
    world = world_on(FakeBench())
    world.put("incoming/searched/a.csv", b"id,name\n1,one\nx,no number\n")

    def mended_and_given_up_on() -> None:
        world.abort(next(iter(world.running)))
        world.search.refuses = lambda _: ""
        world.seam.before = calls.append
        world.seam.die()

    calls: list[str] = []
    died = once_before(world, "settle_batch", "store.copy", mended_and_given_up_on)
    settle_all(world)

    assert died
    assert list(world.store.keys("processed/")) == []
    assert "search.delete_arrival" in calls
    assert "search.write" not in calls


def given_up_on_at(world: World, call: str, then: Callable[[], object] = lambda: None) -> list[str]:
    """The first indexing's run is aborted when it is about to make that call; it makes it ten minutes later."""

    def happens() -> None:
        world.abort(next(iter(world.running)))
        then()
        world.scheduler.sleep(600)

    return once_before(world, "index_batch", call, happens)


def _dataset(name: str) -> Dataset:
    return DATASETS[name]
