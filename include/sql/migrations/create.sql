-- The two schemas, and which migrations the tables in them have seen: those that were applied, and those that
-- create.sql already held when the database was made.
CREATE SCHEMA IF NOT EXISTS staging;
CREATE SCHEMA IF NOT EXISTS sparkify;

-- DISTSTYLE ALL: a row a version.
CREATE TABLE IF NOT EXISTS staging.schema_migrations (
    version INTEGER NOT NULL,
    name VARCHAR(128) NOT NULL,
    applied_at TIMESTAMP NOT NULL
)
DISTSTYLE ALL;
