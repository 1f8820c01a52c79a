"""Penstock's own tables in the warehouse, as SQL."""

from __future__ import annotations

from dataclasses import dataclass

LEDGER = (
    """
    CREATE TABLE IF NOT EXISTS penstock.load (
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
        retry integer NOT NULL DEFAULT 0,
        decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        repeats bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (target, arrival)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS penstock.reject (
        target text NOT NULL,
        arrival uuid NOT NULL,
        retry integer NOT NULL DEFAULT 0,
        ordinal bigint NOT NULL,
        line bigint NOT NULL,
        column_name text NOT NULL,
        reason text NOT NULL,
        raw text NOT NULL,
        PRIMARY KEY (target, arrival, retry, ordinal),
        FOREIGN KEY (target, arrival) REFERENCES penstock.load ON UPDATE CASCADE ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS penstock.load_history (
        target text NOT NULL,
        arrival uuid NOT NULL,
        retry integer NOT NULL,
        dataset text NOT NULL,
        key text NOT NULL,
        rejects bigint NOT NULL,
        reason text NOT NULL,
        decided_at timestamptz NOT NULL,
        retried_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (target, arrival, retry)
    )
    """,
    "COMMENT ON TABLE penstock.load IS 'The load ledger: what was decided of each arrival. Written with its rows.'",
    r"COMMENT ON COLUMN penstock.load.key IS 'As the file arrived. A backslash is doubled, and NUL is \x00.'",
    "COMMENT ON TABLE penstock.reject IS 'Rows that could not be loaded, with the reason.'",
    "COMMENT ON TABLE penstock.load_history IS 'Quarantines that a retry took the place of; rejects have their retry.'",
)

INDEXES = (
    # What was loaded under a key before; and what an arrival replaced. None begins with the target, which a ledger may
    # have a million rows of: PostgreSQL would look up the rest by it.
    "CREATE INDEX load_by_file ON penstock.load (key, bucket)",
    "CREATE INDEX load_replaced_by ON penstock.load (replaced_by) WHERE replaced_by IS NOT NULL",
)
"""Of a ledger that is new. IF NOT EXISTS would wait for every load first, and then do nothing."""

INPUT_ERROR = """
    CREATE OR REPLACE FUNCTION penstock.input_error(value text, type text) RETURNS text
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog AS $$
    BEGIN
        EXECUTE format('SELECT CAST($1 AS %s)', type::regtype) USING value;
        RETURN NULL;
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        RETURN SQLERRM;
    END
    $$
"""
"""Why `value` is no `type`, or NULL. PostgreSQL 15 has no pg_input_error_info; newer ones get it too, for a downgrade's
and the tests' sake."""

GRANTS = (
    "GRANT USAGE ON SCHEMA penstock TO {loader}",
    "GRANT SELECT, INSERT, UPDATE ON penstock.load TO {loader}",
    "GRANT SELECT, INSERT ON penstock.reject TO {loader}",
    "GRANT SELECT, INSERT ON penstock.load_history TO {loader}",
    "GRANT EXECUTE ON FUNCTION penstock.input_error(text, text) TO {loader}",
)


@dataclass(frozen=True, slots=True)
class Migration:
    """Brings tables that an earlier Penstock made forward. `due` asks the catalogue whether they lack it."""

    done: str
    due: str
    statements: tuple[str, ...]


MIGRATIONS = (
    Migration(
        "added retries to the load ledger",
        "SELECT NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'penstock.load'::regclass AND attname = 'retry')",
        ("ALTER TABLE penstock.load ADD COLUMN retry integer NOT NULL DEFAULT 0",),
    ),
    Migration(
        "added retries to penstock.reject, which follows its ledger row to another name now",
        "SELECT NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'penstock.reject'::regclass"
        " AND attname = 'retry')",
        (
            "ALTER TABLE penstock.reject ADD COLUMN retry integer NOT NULL DEFAULT 0",
            "ALTER TABLE penstock.reject DROP CONSTRAINT reject_pkey, DROP CONSTRAINT reject_target_arrival_fkey",
            "ALTER TABLE penstock.reject ADD PRIMARY KEY (target, arrival, retry, ordinal)",
            """
            ALTER TABLE penstock.reject
            ADD FOREIGN KEY (target, arrival) REFERENCES penstock.load ON UPDATE CASCADE ON DELETE CASCADE
            """,
        ),
    ),
    Migration(
        "added repeats to the load ledger",
        "SELECT NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'penstock.load'::regclass"
        " AND attname = 'repeats')",
        ("ALTER TABLE penstock.load ADD COLUMN repeats bigint NOT NULL DEFAULT 0",),
    ),
    Migration(
        "made the load ledger's indexes anew, led by the file",
        "SELECT to_regclass('penstock.load_by_file') IS NULL",
        # Dropped first, which locks out reading as well: by a stronger lock later, two could wait for each other.
        ("DROP INDEX IF EXISTS penstock.load_by_key, penstock.load_replaced", *INDEXES),
    ),
)
"""In this order, after `LEDGER` has made the tables that are missing. A table that changes there needs one here:
tests/integration/test_ledger_migrations.py holds the two against each other. What is not due takes no lock, which
would wait at each deployment for every load that is under way."""
