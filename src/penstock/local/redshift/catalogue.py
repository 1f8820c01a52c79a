"""What PostgreSQL lacks of Redshift's catalogue and functions, in a schema of the stand-in's own."""

from __future__ import annotations

SCHEMA = "redshift_standin"

CATALOGUE = """
    CREATE SCHEMA IF NOT EXISTS redshift_standin;
    GRANT USAGE ON SCHEMA redshift_standin TO PUBLIC;
    DO $$ BEGIN
        CREATE DOMAIN redshift_standin.super AS jsonb;
    EXCEPTION WHEN duplicate_object THEN NULL;
    END $$;
    CREATE OR REPLACE FUNCTION redshift_standin.getdate() RETURNS timestamp LANGUAGE sql STABLE
        AS $$ SELECT clock_timestamp() AT TIME ZONE 'UTC' $$;
    CREATE OR REPLACE FUNCTION redshift_standin.json_parse(value text) RETURNS redshift_standin.super
        LANGUAGE sql IMMUTABLE
        AS $$ SELECT value::jsonb $$;
    CREATE OR REPLACE FUNCTION redshift_standin.json_serialize(value redshift_standin.super) RETURNS text
        LANGUAGE sql IMMUTABLE
        AS $$ SELECT value::text $$;
    CREATE OR REPLACE FUNCTION redshift_standin.fnv_hash(value text, seed bigint) RETURNS bigint
        LANGUAGE sql IMMUTABLE
        AS $$ SELECT hashtextextended(value, seed) $$;
    CREATE OR REPLACE FUNCTION redshift_standin.fnv_hash(value integer, seed bigint) RETURNS bigint
        LANGUAGE sql IMMUTABLE
        AS $$ SELECT hashint8extended(value, seed) $$;
    CREATE SEQUENCE IF NOT EXISTS redshift_standin.query_ids;
    CREATE TABLE IF NOT EXISTS redshift_standin.sys_load_detail (
        query_id bigint, file_name character(256), lines_scanned bigint, record_time timestamp
    );
    CREATE TABLE IF NOT EXISTS redshift_standin.sys_load_error_detail (
        query_id bigint, table_id integer, start_time timestamp, file_name character(256), line_number bigint,
        column_name character(127), column_type character(10), column_length character(10), position integer,
        error_code integer, error_message character(512)
    );
    CREATE OR REPLACE VIEW redshift_standin.svv_columns AS
        SELECT table_catalog, table_schema, table_name, column_name, ordinal_position, column_default, is_nullable,
            coalesce(domain_name, data_type) AS data_type, character_maximum_length, numeric_precision,
            numeric_scale
        FROM information_schema.columns;
    CREATE OR REPLACE VIEW redshift_standin.svv_relation_privileges AS
        SELECT n.nspname AS namespace_name, c.relname AS relation_name, a.privilege_type, a.grantee AS identity_id,
            r.rolname AS identity_name, CASE WHEN a.grantee = 0 THEN 'public' ELSE 'user' END AS identity_type,
            a.is_grantable AS admin_option
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace CROSS JOIN aclexplode(c.relacl) AS a
        LEFT JOIN pg_roles AS r ON r.oid = a.grantee WHERE a.grantee <> c.relowner;
    GRANT SELECT ON ALL TABLES IN SCHEMA redshift_standin TO PUBLIC;
"""
