-- What the stand-in keeps inside the database, and Redshift's system tables over it.
CREATE SCHEMA IF NOT EXISTS redshift;
GRANT USAGE ON SCHEMA redshift TO PUBLIC;

CREATE SEQUENCE IF NOT EXISTS redshift.query_id START WITH 100;

CREATE TABLE IF NOT EXISTS redshift.load_history (
    query bigint PRIMARY KEY,
    session integer,
    username text,
    table_name text,
    table_id bigint,
    data_source text,
    status text,
    started timestamp,
    ended timestamp,
    loaded_rows bigint DEFAULT 0,
    files bigint DEFAULT 0,
    bytes bigint DEFAULT 0,
    errors bigint DEFAULT 0,
    message text
);

CREATE TABLE IF NOT EXISTS redshift.load_errors (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    query bigint,
    session integer,
    username text,
    table_id bigint,
    started timestamp,
    filename text,
    line_number bigint,
    colname text,
    type text,
    col_length text,
    raw_line text,
    raw_field_value text,
    err_code integer,
    err_reason text,
    start_offset bigint
);

CREATE TABLE IF NOT EXISTS redshift.load_files (
    query bigint,
    session integer,
    filename text,
    lines bigint,
    bytes bigint,
    finished timestamp
);

-- Who may name which IAM roles, and for what ("GRANT", ASSUMEROLE): at first everyone every role. Redshift
-- keeps it for the cluster, the stand-in for each database.
DO $do$
BEGIN
    IF to_regclass('redshift.role_grants') IS NULL THEN
        CREATE TABLE redshift.role_grants (
            grantee text,
            iam_role text,
            purpose text,
            PRIMARY KEY (grantee, iam_role, purpose)
        );
        INSERT INTO redshift.role_grants
        SELECT 'public', 'ALL', unnest(ARRAY['COPY', 'UNLOAD', 'EXTERNAL FUNCTION', 'CREATE MODEL']);
    END IF;
END $do$;

-- System tables are read committed on Redshift, whatever the transaction's snapshot: they are read through a
-- connection of their own.
CREATE EXTENSION IF NOT EXISTS dblink WITH SCHEMA redshift;

CREATE TABLE IF NOT EXISTS redshift.journal_connection (dsn text);
REVOKE ALL ON redshift.journal_connection FROM PUBLIC;

CREATE OR REPLACE FUNCTION redshift.load_history_now() RETURNS SETOF redshift.load_history
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    RETURN QUERY SELECT (populated.record).* FROM (
        SELECT json_populate_record(NULL::redshift.load_history, line) AS record
        FROM redshift.dblink(
            (SELECT dsn FROM redshift.journal_connection),
            'SELECT to_json(listed) FROM redshift.load_history AS listed'
        ) AS fetched (line json)
    ) AS populated;
END $$;

CREATE OR REPLACE FUNCTION redshift.load_errors_now() RETURNS SETOF redshift.load_errors
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    RETURN QUERY SELECT (populated.record).* FROM (
        SELECT json_populate_record(NULL::redshift.load_errors, line) AS record
        FROM redshift.dblink(
            (SELECT dsn FROM redshift.journal_connection),
            'SELECT to_json(listed) FROM redshift.load_errors AS listed'
        ) AS fetched (line json)
    ) AS populated;
END $$;

CREATE OR REPLACE FUNCTION redshift.load_files_now() RETURNS SETOF redshift.load_files
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    RETURN QUERY SELECT (populated.record).* FROM (
        SELECT json_populate_record(NULL::redshift.load_files, line) AS record
        FROM redshift.dblink(
            (SELECT dsn FROM redshift.journal_connection),
            'SELECT to_json(listed) FROM redshift.load_files AS listed'
        ) AS fetched (line json)
    ) AS populated;
END $$;

CREATE OR REPLACE FUNCTION redshift.user_id(name text) RETURNS integer
LANGUAGE sql STABLE AS $$ SELECT oid::integer FROM pg_catalog.pg_roles WHERE rolname = name $$;

CREATE OR REPLACE VIEW pg_catalog.stl_load_errors AS
SELECT
    redshift.user_id(username) AS userid,
    0 AS slice,
    table_id::integer AS tbl,
    started AS starttime,
    session,
    query::integer AS query,
    filename::char(256) AS filename,
    line_number,
    colname::char(127) AS colname,
    type::char(10) AS type,
    col_length::char(10) AS col_length,
    0 AS position,
    raw_line::char(1024) AS raw_line,
    raw_field_value::char(1024) AS raw_field_value,
    err_code,
    err_reason::char(100) AS err_reason,
    0 AS is_partial,
    start_offset,
    (-1)::bigint AS copy_job_id
FROM redshift.load_errors_now();

CREATE OR REPLACE VIEW pg_catalog.stl_loaderror_detail AS
SELECT
    userid,
    slice,
    session,
    query,
    filename,
    line_number,
    0 AS field,
    colname,
    raw_field_value::char(1024) AS value,
    0 AS is_null,
    type,
    col_length
FROM pg_catalog.stl_load_errors;

CREATE OR REPLACE VIEW pg_catalog.sys_load_error_detail AS
SELECT
    redshift.user_id(username) AS user_id,
    query AS query_id,
    query AS transaction_id,
    session AS session_id,
    current_database()::char(128) AS database_name,
    table_id::integer AS table_id,
    started AS start_time,
    filename::char(256) AS file_name,
    line_number,
    colname::char(127) AS column_name,
    type::char(10) AS column_type,
    col_length::char(10) AS column_length,
    0 AS position,
    err_code AS error_code,
    err_reason::char(512) AS error_message
FROM redshift.load_errors_now();

CREATE OR REPLACE VIEW pg_catalog.sys_load_history AS
SELECT
    redshift.user_id(username) AS user_id,
    query AS query_id,
    query AS transaction_id,
    session AS session_id,
    current_database()::text AS database_name,
    status,
    table_name,
    started AS start_time,
    ended AS end_time,
    (extract(EPOCH FROM ended - started) * 1000000)::bigint AS duration,
    data_source,
    'JSON'::text AS file_format,
    loaded_rows,
    bytes AS loaded_bytes,
    files AS source_file_count,
    bytes AS source_file_bytes,
    files AS file_count_scanned,
    bytes AS file_bytes_scanned,
    errors AS error_count,
    (-1)::bigint AS copy_job_id,
    message AS error_message
FROM redshift.load_history_now();

CREATE OR REPLACE VIEW pg_catalog.sys_load_detail AS
SELECT
    query AS query_id,
    session AS session_id,
    filename::text AS file_name,
    lines AS lines_scanned,
    bytes AS bytes_scanned,
    finished AS record_time
FROM redshift.load_files_now();

CREATE OR REPLACE VIEW pg_catalog.stl_load_commits AS
SELECT
    query::integer AS query,
    0 AS slice,
    filename::char(256) AS filename,
    finished AS curtime,
    1 AS status,
    lines AS lines_scanned,
    bytes AS bytes_scanned
FROM redshift.load_files_now();

CREATE OR REPLACE VIEW pg_catalog.stv_db_isolation_level AS
SELECT
    oid::integer AS db_id,
    datname::text AS db_name,
    'Snapshot Isolation'::text AS isolation_level
FROM pg_catalog.pg_database
WHERE NOT datistemplate;

CREATE OR REPLACE VIEW pg_catalog.svv_table_info AS
SELECT
    current_database()::text AS database,
    n.nspname::text AS schema,
    c.oid::integer AS table_id,
    c.relname::text AS "table",
    'N'::text AS encoded,
    'AUTO(EVEN)'::text AS diststyle,
    NULL::text AS sortkey1,
    (pg_catalog.pg_relation_size(c.oid) / 1048576)::bigint AS size,
    greatest(c.reltuples, 0)::numeric(38, 0) AS tbl_rows,
    NULL::numeric(19, 2) AS skew_rows
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'redshift');

CREATE OR REPLACE VIEW pg_catalog.pg_table_def AS
SELECT
    n.nspname AS schemaname,
    c.relname AS tablename,
    a.attname AS "column",
    pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
    'none'::text AS encoding,
    FALSE AS distkey,
    0 AS sortkey,
    a.attnotnull AS "notnull"
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
INNER JOIN pg_catalog.pg_attribute AS a ON c.oid = a.attrelid
WHERE
    c.relkind = 'r'
    AND a.attnum > 0
    AND NOT a.attisdropped
    AND n.nspname = any(pg_catalog.current_schemas(FALSE));

CREATE OR REPLACE VIEW pg_catalog.svv_tables AS
SELECT
    table_catalog::text AS table_catalog,
    table_schema::text AS table_schema,
    table_name::text AS table_name,
    table_type::text AS table_type,
    NULL::text AS remarks
FROM information_schema.tables
WHERE table_schema <> 'redshift';

CREATE OR REPLACE VIEW pg_catalog.svv_columns AS
SELECT
    table_catalog::text AS table_catalog,
    table_schema::text AS table_schema,
    table_name::text AS table_name,
    column_name::text AS column_name,
    ordinal_position::integer AS ordinal_position,
    column_default::text AS column_default,
    is_nullable::text AS is_nullable,
    data_type::text AS data_type,
    character_maximum_length::integer AS character_maximum_length,
    numeric_precision::integer AS numeric_precision,
    numeric_precision_radix::integer AS numeric_precision_radix,
    numeric_scale::integer AS numeric_scale,
    NULL::text AS remarks
FROM information_schema.columns
WHERE table_schema <> 'redshift';

CREATE OR REPLACE VIEW pg_catalog.svv_redshift_tables AS
SELECT
    table_catalog AS database_name,
    table_schema AS schema_name,
    table_name,
    CASE table_type WHEN 'BASE TABLE' THEN 'TABLE' ELSE table_type END AS table_type,
    NULL::text AS table_acl,
    remarks
FROM pg_catalog.svv_tables;

CREATE OR REPLACE VIEW pg_catalog.svv_all_tables AS
SELECT
    database_name,
    schema_name,
    table_name,
    table_acl,
    table_type,
    remarks
FROM pg_catalog.svv_redshift_tables;

CREATE OR REPLACE VIEW pg_catalog.svv_redshift_columns AS
SELECT
    table_catalog AS database_name,
    table_schema AS schema_name,
    table_name,
    column_name,
    ordinal_position,
    data_type,
    column_default,
    is_nullable,
    'none'::text AS encoding,
    FALSE AS distkey,
    0 AS sortkey,
    NULL::text AS column_acl,
    remarks
FROM pg_catalog.svv_columns;

CREATE OR REPLACE VIEW pg_catalog.svv_all_columns AS
SELECT
    table_catalog AS database_name,
    table_schema AS schema_name,
    table_name,
    column_name,
    ordinal_position,
    column_default,
    is_nullable,
    data_type,
    character_maximum_length,
    numeric_precision,
    numeric_scale,
    remarks
FROM pg_catalog.svv_columns;

CREATE OR REPLACE VIEW pg_catalog.svv_all_schemas AS
SELECT
    current_database()::text AS database_name,
    nspname::text AS schema_name,
    nspowner::integer AS schema_owner,
    'local'::text AS schema_type,
    NULL::text AS schema_acl,
    NULL::text AS source_database,
    NULL::text AS schema_option
FROM pg_catalog.pg_namespace
WHERE nspname <> 'redshift';

CREATE OR REPLACE VIEW pg_catalog.svv_transactions AS
SELECT
    a.usename::text AS txn_owner,
    a.datname::text AS txn_db,
    a.backend_xid::text::bigint AS xid,
    l.pid,
    a.xact_start AT TIME ZONE 'UTC' AS txn_start,
    l.mode AS lock_mode,
    l.locktype AS lockable_object_type,
    l.relation::integer AS relation,
    l.granted
FROM pg_catalog.pg_locks AS l
INNER JOIN pg_catalog.pg_stat_activity AS a ON l.pid = a.pid
WHERE l.locktype IN ('relation', 'transactionid') AND a.datname = current_database();

DO $do$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT viewname FROM pg_catalog.pg_views
        WHERE schemaname = 'pg_catalog' AND viewname ~ '^(stl|stv|svv|sys)_(load|loaderror|db_iso|table|columns|redshift|all|transactions)'
    LOOP
        EXECUTE format('GRANT SELECT ON pg_catalog.%I TO PUBLIC', name);
    END LOOP;
    GRANT SELECT ON pg_catalog.pg_table_def TO PUBLIC;
END $do$;
