"""A warehouse whose ledger an earlier Penstock made is brought to what today's makes of an empty one, with its rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tests.conftest import Postgres
from tests.contract.warehouses import PostgresKit, dataset_of, load, rejects
from tests.fakes.object_store import FakeObjectStore

from penstock.adapters.postgres import PostgresSchema
from penstock.adapters.postgres.ledger_schema import MIGRATIONS
from penstock.model.outcomes import Verdict

OLDEST = """
    CREATE SCHEMA penstock;
    CREATE TABLE penstock.load (
        target text NOT NULL,
        arrival uuid NOT NULL,
        dataset text NOT NULL,
        bucket text NOT NULL,
        key text NOT NULL,
        version_id text NOT NULL,
        etag text NOT NULL,
        size bigint NOT NULL,
        modified timestamptz NOT NULL,
        verdict text NOT NULL CHECK (verdict IN ('loaded', 'quarantined', 'duplicate')),
        rows bigint NOT NULL DEFAULT 0 CHECK (rows >= 0),
        rejects bigint NOT NULL DEFAULT 0 CHECK (rejects >= 0),
        reason text NOT NULL DEFAULT '',
        replaced_by uuid,
        decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (target, arrival)
    );
    CREATE INDEX load_by_key ON penstock.load (target, bucket, key);
    CREATE INDEX load_replaced ON penstock.load (target, replaced_by) WHERE replaced_by IS NOT NULL;
    CREATE TABLE penstock.reject (
        target text NOT NULL,
        arrival uuid NOT NULL,
        ordinal bigint NOT NULL,
        line bigint NOT NULL,
        column_name text NOT NULL,
        reason text NOT NULL,
        raw text NOT NULL,
        PRIMARY KEY (target, arrival, ordinal),
        FOREIGN KEY (target, arrival) REFERENCES penstock.load ON DELETE CASCADE
    );
"""
"""The ledger as the first Penstock with a warehouse made it."""

_SHAPE = """
    SELECT 'column', attrelid::regclass::text, attname::text, format_type(atttypid, atttypmod), attnotnull::text,
           coalesce(pg_get_expr(adbin, adrelid), '')
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid IN ({tables}) AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text, conname::text, pg_get_constraintdef(oid), '', ''
    FROM pg_constraint WHERE conrelid IN ({tables}) AND contype <> 'n'
    UNION ALL
    SELECT 'index', indrelid::regclass::text, pg_get_indexdef(indexrelid), '', '', ''
    FROM pg_index WHERE indrelid IN ({tables})
    UNION ALL
    SELECT 'right', oid::regclass::text, relacl::text, '', '', '' FROM pg_class WHERE oid IN ({tables})
"""
_TABLES = "'penstock.load'::regclass, 'penstock.reject'::regclass, 'penstock.load_history'::regclass"


@dataclass(frozen=True)
class Database:
    owner: str
    loader: str

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.owner, autocommit=True) as connection:
            answer = connection.execute(query.encode(), values or None)
            return answer.fetchall() if answer.description else []

    def shape(self) -> set[tuple[Any, ...]]:
        """Columns, constraints, indexes and rights of Penstock's tables, in no order."""
        return set(self.ask(_SHAPE.format(tables=_TABLES)))


@pytest.fixture
def database(postgres: Postgres) -> Iterator[Database]:
    """An empty one of its own: Penstock's schema has one name."""
    name = f"migrated_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.superuser, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER penstock_owner").format(sql.Identifier(name)))
        yield Database(make_conninfo(postgres.owner, dbname=name), make_conninfo(postgres.loader, dbname=name))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_the_oldest_ledger_becomes_what_an_empty_warehouse_gets(postgres: Postgres, database: Database) -> None:
    PostgresSchema(postgres.owner).apply([])
    database.ask(OLDEST)

    first = PostgresSchema(database.owner).apply([])
    second = PostgresSchema(database.owner).apply([])

    assert first == [migration.done for migration in MIGRATIONS]
    assert second == []
    assert database.shape() == Database(postgres.owner, postgres.loader).shape()


def test_what_the_oldest_ledger_decided_is_decided(database: Database) -> None:
    dataset = dataset_of(max_reject_ratio=0.5, table="penstock.things")
    store = FakeObjectStore()
    content = b"id,name,delay\n1,one,1\n2,two,late\n"
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", content)
    database.ask(OLDEST)
    database.ask(
        "INSERT INTO penstock.load (target, arrival, dataset, bucket, key, version_id, etag, size, modified, verdict,"
        " rows, rejects) VALUES ('penstock.things', %s, %s, 'landing', %s, %s, %s, %s, now(), 'loaded', 1, 1)",
        *(arrival.id, dataset.name, arrival.key, arrival.version_id, arrival.etag, arrival.size),
    )
    database.ask(
        "INSERT INTO penstock.reject VALUES ('penstock.things', %s, 0, 3, 'delay', 'no number', '2,two,late')",
        arrival.id,
    )

    PostgresSchema(database.owner).apply([dataset])

    kit = PostgresKit(database.owner, database.loader)
    again = store.put(f"incoming/{dataset.prefix}a.csv", content)
    found = load(kit.warehouse, dataset, store, arrival, again)
    kept = rejects(kit.warehouse, dataset, arrival)
    kit.close()
    assert (found[arrival.id].rows, found[arrival.id].rejects) == (1, 1)
    assert found[again.id].verdict is Verdict.DUPLICATE
    assert [(one.line, one.column) for one in kept] == [(3, "delay")]
