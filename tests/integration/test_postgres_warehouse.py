"""What is PostgreSQL's own: sessions that die, locks, old servers, and the ledger behind the port."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from tests.conftest import Postgres
from tests.contract.warehouses import PostgresKit, dataset_of, load, rejects
from tests.fakes.object_store import FakeObjectStore

from penstock.adapters.postgres import Limits, PostgresWarehouse
from penstock.adapters.postgres.column_types import table_of
from penstock.adapters.postgres.connection import Connections
from penstock.adapters.postgres.judge import Judge
from penstock.model.arrivals import Arrival
from penstock.model.errors import TransientError
from penstock.model.outcomes import LoadOutcome, Verdict
from penstock.model.streams import ByteStream

CLEAN = b"id,name,delay\n1,one,-5\n2,,\n3,three,7\n"


class _Watched(FakeObjectStore):
    """A store that calls `during` in the middle of the file `at`."""

    at: Arrival | None = None
    during: Callable[[], object] = staticmethod(lambda: None)

    @contextmanager
    def open(self, arrival: Arrival) -> Iterator[ByteStream]:
        with super().open(arrival) as stream:
            yield _Interrupted(stream, self.during) if arrival == self.at else stream


class _Interrupted:
    def __init__(self, stream: ByteStream, during: Callable[[], object]) -> None:
        self._stream = stream
        self._during = during
        self._reads = 0

    def read(self, size: int, /) -> bytes:
        self._reads += 1
        if self._reads == 4:  # Behind the first chunk, which goes to COPY first.
            self._during()
        return self._stream.read(min(size, 2**18))


def _big(rows: int = 60_000) -> bytes:
    return b"id,name,delay\n" + b"".join(b"%d,name,%d\n" % (number, number % 100) for number in range(rows))


def _terminate_loads(superuser: str) -> None:
    with psycopg.connect(superuser, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE usename = 'penstock_loader' AND backend_xid IS NOT NULL"
        ).fetchall()
    assert ended == [(True,)]


def _until_one_waits(superuser: str) -> None:
    deadline = time.monotonic() + 20
    with psycopg.connect(superuser, autocommit=True) as connection:
        while connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
            assert time.monotonic() < deadline


def test_a_connection_that_is_ended_in_the_middle_leaves_nothing_and_the_next_call_has_a_new_one(
    kit: PostgresKit, postgres: Postgres
) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    store = _Watched()
    small = store.put(f"incoming/{dataset.prefix}a.csv", CLEAN)
    big = store.put(f"incoming/{dataset.prefix}b.csv", _big())
    store.at, store.during = big, lambda: _terminate_loads(postgres.superuser)
    with pytest.raises(TransientError, match="Nothing of it was kept"):
        load(kit.warehouse, dataset, store, small, big)
    assert kit.rows(dataset) == []
    assert kit.warehouse.outcomes(dataset, [small, big]) == {}

    store.at = None
    outcomes = load(kit.warehouse, dataset, store, small, big)

    assert {arrival: outcome.rows for arrival, outcome in outcomes.items()} == {small.id: 3, big.id: 60_000}


def test_a_connection_that_died_between_two_calls_is_not_noticed(kit: PostgresKit, postgres: Postgres) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    store = FakeObjectStore()
    arrival = store.put("incoming/a.csv", CLEAN)
    assert kit.warehouse.outcomes(dataset, [arrival]) == {}
    with psycopg.connect(postgres.superuser, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'penstock_loader'"
        )

    outcomes = load(kit.warehouse, dataset, store, arrival)

    assert outcomes[arrival.id].rows == 3


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="it is Linux's own")
def test_a_host_that_is_gone_is_given_up_while_a_function_has_time_left_and_a_lock_has_none(postgres: Postgres) -> None:
    limits = Limits()

    with (
        Connections(postgres.loader, limits).transaction("look") as session,
        socket.socket(fileno=os.dup(session.connection.fileno())) as ours,
    ):
        waits = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) / 1000
        asks_after = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)

    assert 2 * limits.lock < waits < limits.whole / 2
    assert asks_after < waits


def test_a_zombie_that_commits_first_wins_and_its_successor_loads_nothing(kit: PostgresKit, postgres: Postgres) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    store = _Watched()
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", _big())
    successor: list[LoadOutcome] = []
    thread = threading.Thread(
        target=lambda: successor.append(load(kit.another(), dataset, FakeObjectStore(), arrival)[arrival.id])
    )

    def second() -> None:
        thread.start()
        _until_one_waits(postgres.superuser)

    store.at, store.during = arrival, second
    zombie = load(kit.another(), dataset, store, arrival)[arrival.id]
    thread.join(20)

    assert successor == [zombie]
    assert len(kit.rows(dataset)) == 60_000


def test_a_successor_does_not_wait_for_ever(kit: PostgresKit, postgres: Postgres) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    store = _Watched()
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", _big())
    impatient = PostgresWarehouse(postgres.loader, Limits(lock=0.05))
    seen: list[BaseException] = []

    def second() -> None:
        with pytest.raises(TransientError, match="a lock was not free in time") as caught:
            load(impatient, dataset, FakeObjectStore(), arrival)
        seen.append(caught.value)

    store.at, store.during = arrival, second
    load(kit.warehouse, dataset, store, arrival)
    impatient.close()

    assert len(seen) == 1


def test_a_batch_that_takes_too_long_is_rolled_back(kit: PostgresKit, postgres: Postgres) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    store = FakeObjectStore()
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", _big())
    hurried = PostgresWarehouse(postgres.loader, Limits(whole=0.001))

    with pytest.raises(TransientError, match="longer than"):
        load(hurried, dataset, store, arrival)
    hurried.close()

    assert kit.warehouse.outcomes(dataset, [arrival]) == {}


def test_postgresql_15_says_the_same_of_bad_rows(
    kit: PostgresKit, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(postgres.owner) as connection:
        if connection.info.server_version < 160000:
            pytest.skip("this server has only the functions of PostgreSQL 15 to compare")
    kinds = ["smallint", "numeric", "double", "boolean", "date", "timestamptz", "uuid", "json"]
    columns = [{"name": f"c_{kind}", "type": kind} for kind in kinds]
    rows = [[b"x" if place == bad else b"" for place in range(len(kinds))] for bad in range(len(kinds) + 1)]
    data = b"".join(b",".join(row) + b"\n" for row in rows)
    found = []
    for soft in (True, False):
        monkeypatch.setattr(Judge, "of", classmethod(lambda cls, _, soft=soft: cls(soft)))
        dataset = dataset_of(columns, csv={"header": False}, max_reject_ratio=0.9)
        kit.apply(dataset)
        store = FakeObjectStore()
        arrival = store.put(f"incoming/{dataset.prefix}a.csv", data)
        outcome = load(kit.warehouse, dataset, store, arrival)[arrival.id]
        assert outcome == LoadOutcome(Verdict.LOADED, rows=1, rejects=len(kinds))
        found.append(rejects(kit.warehouse, dataset, arrival))

    new, old = found

    assert new == old
    assert [reject.column for reject in new] == [f"c_{kind}" for kind in kinds]


def test_what_a_constraint_of_the_table_refuses_is_quarantined_without_its_values(
    kit: PostgresKit, postgres: Postgres
) -> None:
    dataset = dataset_of(max_reject_ratio=0.5)
    kit.apply(dataset)
    assert dataset.table is not None
    with psycopg.connect(postgres.owner) as connection:
        connection.execute(
            f"ALTER TABLE {dataset.table.qualified} ADD CONSTRAINT once UNIQUE (id) DEFERRABLE INITIALLY DEFERRED"
        )
    store = FakeObjectStore()
    bad = store.put(f"incoming/{dataset.prefix}a.csv", CLEAN + b"3,secret,1\n")
    good = store.put(f"incoming/{dataset.prefix}b.csv", CLEAN)

    outcomes = load(kit.warehouse, dataset, store, bad, good)

    assert outcomes[good.id].rows == 3
    assert outcomes[bad.id].verdict is Verdict.QUARANTINED
    assert "unique constraint" in outcomes[bad.id].reason
    assert "secret" not in outcomes[bad.id].reason


def test_the_loader_can_neither_create_nor_delete_what_it_need_not(kit: PostgresKit, postgres: Postgres) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    assert dataset.table is not None
    with psycopg.connect(postgres.loader, autocommit=True) as connection:
        for statement in (
            f"DELETE FROM {dataset.table.qualified}",
            f"TRUNCATE {dataset.table.qualified}",
            "DELETE FROM penstock.load",
            "UPDATE penstock.reject SET reason = ''",
            "CREATE TABLE public.mine ()",
            "CREATE TABLE penstock.mine ()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.parametrize(("set_to", "is_then"), [("off", "on"), ("local", "local")])
def test_what_is_said_to_be_loaded_outlives_a_crash_of_the_server_whatever_the_roles_settings(
    kit: PostgresKit, postgres: Postgres, set_to: str, is_then: str
) -> None:
    dataset, store = dataset_of(), FakeObjectStore()
    kit.apply(dataset)
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", b"id,name,delay\n1,a,1\n")
    table = table_of(dataset).qualified
    hurried = PostgresWarehouse(f"{postgres.loader} options='-c synchronous_commit={set_to}'")
    with psycopg.connect(postgres.owner, autocommit=True) as owner:
        owner.execute(f"ALTER TABLE {table} ADD how text DEFAULT current_setting('synchronous_commit')".encode())

        load(hurried, dataset, store, arrival)
        hurried.close()

        assert owner.execute(f"SELECT how FROM {table}".encode()).fetchall() == [(is_then,)]


def test_dates_do_not_depend_on_the_roles_settings(kit: PostgresKit, postgres: Postgres) -> None:
    dataset = dataset_of([{"name": "d", "type": "date"}, {"name": "t", "type": "timestamptz"}], date_order="mdy")
    kit.apply(dataset)
    store = FakeObjectStore()
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", b"d,t\n01/02/2026,2026-01-01 00:00:00\n")
    odd = PostgresWarehouse(f"{postgres.loader} options='-c DateStyle=DMY -c TimeZone=Asia/Tokyo'")

    load(odd, dataset, store, arrival)
    odd.close()

    [(day, at)] = kit.rows(dataset)
    assert (day.isoformat(), at.timestamp()) == ("2026-01-02", 1767225600)
