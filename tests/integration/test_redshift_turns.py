"""Many batches of one table at once, as a backfill's children begin them: one COPY at a time, and no wait times out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.conftest import Postgres
from tests.contract.warehouses import load
from tests.integration.processes import eventually
from tests.integration.standin import Standin, batch_of

from penstock.model.errors import TransientError

CHILDREN = 8
"""MaxBackfillBatches."""


class Turns(Standin):
    """Held, the first COPY that reads a file waits there."""

    def __init__(self, stack: ExitStack, superuser: str) -> None:
        self.read_by: list[str] = []
        self.held = threading.Event()
        self.go_on = threading.Event()
        super().__init__(stack, superuser)

    def read(self, bucket: str, key: str) -> bytes:
        _, _, copy, _ = key.split("/")
        self.read_by.append(copy)
        if not self.held.is_set():
            self.held.set()
            assert self.go_on.wait(60)
        return super().read(bucket, key)


@pytest.fixture
def standin(postgres: Postgres) -> Iterator[Turns]:
    with ExitStack() as stack:
        made = Turns(stack, postgres.superuser)
        yield made
        made.go_on.set()


def waiting_for_a_lock(postgres: Postgres) -> int:
    with psycopg.connect(postgres.superuser) as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'redshift' AND wait_event_type = 'Lock'"
        ((number,),) = connection.execute(asked)
        return int(number)


def test_one_copy_at_a_time_is_made_into_a_table_and_other_tables_need_not_wait(
    standin: Turns, postgres: Postgres
) -> None:
    dataset, other = standin.dataset(), standin.dataset()
    files = [standin.put(dataset, f"{number}.csv", b"%d,a,1\n" % number) for number in range(CHILDREN)]
    batches = [batch_of(dataset, file) for file in files]
    begun = [standin.another().begin(batch, dataset, standin.store) for batch in batches]
    assert standin.held.wait(30)
    assert eventually(lambda: waiting_for_a_lock(postgres) == CHILDREN - 1)

    still = [standin.another().poll(one, dataset, handle.handle) for one, handle in zip(batches, begun, strict=True)]
    beside = load(standin.another(), other, standin.store, standin.put(other, "a.csv", b"1,a,1\n"))
    in_turn = [copy for copy in standin.read_by if copy in {handle.handle.split()[1] for handle in begun}]
    standin.go_on.set()
    for batch, handle in zip(batches, begun, strict=True):
        standin.ends(dataset, batch, handle)

    assert still == begun
    assert [one.rows for one in beside.values()] == [1]
    assert len(set(in_turn)) == 1
    assert standin.counts(dataset) == {file.id: 1 for file in files}


@contextmanager
def conflicting(postgres: Postgres, times: int) -> Iterator[None]:
    """Whoever writes the ledger has met a transaction that writes it for another table, so many times in a row."""
    with psycopg.connect(make_conninfo(postgres.superuser, dbname="redshift"), autocommit=True) as connection:
        connection.execute(
            f"""
            CREATE SEQUENCE public.met;
            GRANT USAGE ON SEQUENCE public.met TO PUBLIC;
            CREATE FUNCTION public.meet() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('public.met') <= {times} THEN
                    RAISE EXCEPTION E'1023\\n  DETAIL: Serializable isolation violation on table - 1, transactions …';
                END IF;
                RETURN NEW;
            END
            $$;
            CREATE TRIGGER meets BEFORE INSERT ON penstock.load FOR EACH ROW EXECUTE FUNCTION public.meet();
            """.encode()
        )
        try:
            yield
        finally:
            connection.execute("DROP FUNCTION public.meet CASCADE")
            connection.execute("DROP SEQUENCE public.met")


def test_a_load_that_redshift_has_undone_for_its_isolation_is_made_again_and_is_no_fault_of_the_files(
    standin: Turns, postgres: Postgres
) -> None:
    standin.held.set()
    dataset = standin.dataset()
    files = [standin.put(dataset, f"{number}.csv", b"%d,a,1\n" % number) for number in range(2)]
    batch = batch_of(dataset, *files)

    with conflicting(postgres, times=4):  # More than the attempts that a file's own fault is given.
        standin.ends(dataset, batch, standin.warehouse.begin(batch, dataset, standin.store))

    assert standin.counts(dataset) == {file.id: 1 for file in files}
    assert len(standin.copies()) == 5, "Penstock read none of them itself"


def test_a_quarantine_that_redshift_has_undone_for_its_isolation_is_made_again(
    standin: Turns, postgres: Postgres
) -> None:
    dataset = standin.dataset()
    file = standin.put(dataset, "a.csv", b"1,a,1\n")

    with conflicting(postgres, times=3):
        standin.warehouse.quarantine(dataset, [file], "given up")
    with conflicting(postgres, times=100), pytest.raises(TransientError, match="five times"):
        standin.warehouse.quarantine(dataset, [standin.put(dataset, "b.csv", b"1,a,1\n")], "given up")

    assert standin.warehouse.outcomes(dataset, [file])[file.id].reason == "given up"
