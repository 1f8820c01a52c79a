"""What a batch costs at the load ledger does not grow with what was loaded before it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from tests.conftest import Postgres
from tests.contract.warehouses import PostgresKit, dataset_of, load
from tests.fakes.object_store import FakeObjectStore

from penstock.adapters.postgres.column_types import table_of

LOADED_BEFORE = 60_000
FILES = 100
_LOADERS = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'penstock_loader'"
_READ = (
    "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relid = 'penstock.load'::regclass"
)


@contextmanager
def grown_since(superuser: str, target: str, analysed: str) -> Iterator[None]:
    """A ledger that has grown since PostgreSQL last looked at it, as it does while a backfill goes on.

    `analysed` is the target and the key, as SQL, of each of the rows that were there then; empty: it never looked.
    """
    insert = (
        "INSERT INTO penstock.load (target, arrival, dataset, bucket, key, version_id, etag, size, modified, retry,"
        " verdict, reason, rows) SELECT {}, gen_random_uuid(), 'things', 'landing', {}, 'v',"
        " 'e', 1, now(), 0, 'loaded', '', 1 FROM generate_series(1, {}) AS number"
    )
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("TRUNCATE penstock.load CASCADE")
        connection.execute("DELETE FROM pg_statistic WHERE starelid = 'penstock.load'::regclass")
        connection.execute("ALTER TABLE penstock.load SET (autovacuum_enabled = false)")
        if analysed:
            connection.execute(insert.format(*analysed.split("; "), 800).encode())
            connection.execute("ANALYZE penstock.load")
        connection.execute(insert.format("%s", "'incoming/old/' || number", LOADED_BEFORE).encode(), (target,))
        yield
        connection.execute("TRUNCATE penstock.load CASCADE")
        connection.execute("ALTER TABLE penstock.load RESET (autovacuum_enabled)")


def rows_read(superuser: str) -> int:
    """Of the ledger, by everyone: a session's are counted at the latest when it has ended."""
    deadline = time.monotonic() + 30
    with psycopg.connect(superuser, autocommit=True) as connection:
        while connection.execute(_LOADERS).fetchone() != (0,):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        row = connection.execute(_READ).fetchone()
    return int(row[0]) if row else 0


@pytest.mark.parametrize(
    "analysed",
    ["", "'data.table_' || number; 'incoming/' || number", "'data.one'; 'incoming/latest.csv'"],
    ids=["never", "with hundreds of tables of a file each", "with one file that was put time and again"],
)
def test_a_batch_reads_its_own_rows_of_the_ledger_and_not_all_that_the_table_has_ever_loaded(
    kit: PostgresKit, postgres: Postgres, analysed: str
) -> None:
    dataset, store = dataset_of(), FakeObjectStore()
    kit.apply(dataset)
    arrivals = [store.put(f"incoming/{dataset.prefix}{name}.csv", b"id,name,delay\n1,a,2\n") for name in range(FILES)]
    with grown_since(postgres.superuser, table_of(dataset).qualified, analysed):
        kit.close()
        before = rows_read(postgres.superuser)

        loaded = load(kit.warehouse, dataset, store, *arrivals)
        kit.warehouse.duplicates(dataset, arrivals)

        kit.close()
        read = rows_read(postgres.superuser) - before
    assert len(loaded) == FILES
    assert FILES <= read < LOADED_BEFORE / 10
