-- Internals that belong to no one table of the model. Readers need no privilege on schema staging.
CREATE SCHEMA IF NOT EXISTS staging;
CREATE SCHEMA IF NOT EXISTS sparkify;

-- The mutex of publishing. LOCK is ACCESS EXCLUSIVE on Redshift and would stop readers of a published table,
-- so what is locked is this table, which nobody reads.
CREATE TABLE IF NOT EXISTS staging.publish_lock (
    held_for VARCHAR(64)
)
DISTSTYLE ALL;

-- The ledger of source files: which bytes (ETag) of which object the published rows came from. A song file
-- has one row; a log file has one for each window that was published from it.
-- DISTSTYLE EVEN: read whole, joined to nothing large. SORTKEY: songs are looked up by source, and the
-- rows of a window lie together.
CREATE TABLE IF NOT EXISTS staging.source_files (
    source VARCHAR(16) NOT NULL,
    bucket VARCHAR(64) NOT NULL,
    object_key VARCHAR(1024) NOT NULL,
    etag VARCHAR(128) NOT NULL,
    size_bytes BIGINT NOT NULL,
    last_modified TIMESTAMP NOT NULL,
    window_start TIMESTAMP NOT NULL,
    window_end TIMESTAMP NOT NULL,
    run_id VARCHAR(512) NOT NULL,
    published_at TIMESTAMP NOT NULL
)
DISTSTYLE EVEN
SORTKEY (source, window_start);
