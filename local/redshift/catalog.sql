-- What the stand-in keeps inside the database, and Redshift's system tables over it.
CREATE SCHEMA IF NOT EXISTS redshift;
GRANT USAGE ON SCHEMA redshift TO PUBLIC;

CREATE SEQUENCE IF NOT EXISTS redshift.query_id START WITH 100;

CREATE TABLE IF NOT EXISTS redshift.load_history (
    query bigint PRIMARY KEY,
    session integer,
    username text,
    table_name text,
    data_source text,
    status text,
    started timestamp,
    ended timestamp,
    loaded_rows bigint,
    files bigint,
    bytes bigint,
    errors bigint
);

CREATE TABLE IF NOT EXISTS redshift.load_errors (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    query bigint,
    session integer,
    username text,
    table_name text,
    started timestamp,
    filename text,
    line_number bigint,
    colname text,
    type text,
    col_length text,
    position integer DEFAULT 0,
    raw_line text,
    raw_field_value text,
    err_code integer,
    err_reason text,
    start_offset bigint
);

CREATE OR REPLACE VIEW pg_catalog.stl_load_errors AS
SELECT
    (SELECT oid::integer FROM pg_catalog.pg_roles WHERE rolname = username) AS userid,
    0 AS slice,
    (SELECT oid::integer FROM pg_catalog.pg_class WHERE relname = table_name LIMIT 1) AS tbl,
    started AS starttime,
    session,
    query::integer AS query,
    filename::char(256) AS filename,
    line_number,
    colname::char(127) AS colname,
    type::char(10) AS type,
    col_length::char(10) AS col_length,
    position,
    raw_line::char(1024) AS raw_line,
    raw_field_value::char(1024) AS raw_field_value,
    err_code,
    left(err_reason, 100)::char(100) AS err_reason,
    0 AS is_partial,
    start_offset,
    -1::bigint AS copy_job_id
FROM redshift.load_errors;
GRANT SELECT ON pg_catalog.stl_load_errors TO PUBLIC;
