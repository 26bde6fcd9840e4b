-- Log files are kept as rows, by batch. What was published before stays as it is, of version 0: its files are known, and
-- are read again only where a run loads their hours, or where they change.
CREATE TABLE IF NOT EXISTS staging.landing_lock (
    held_for VARCHAR(64)
)
DISTSTYLE ALL;

CREATE TABLE IF NOT EXISTS staging.batches (
    batch BIGINT NOT NULL,
    run_id VARCHAR(512) NOT NULL,
    files BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    read_rows BIGINT NOT NULL,
    rejected_rows BIGINT NOT NULL,
    landed_at TIMESTAMP NOT NULL,
    is_live BOOLEAN NOT NULL,
    is_purged BOOLEAN NOT NULL
)
DISTSTYLE ALL
SORTKEY (batch);

CREATE TABLE IF NOT EXISTS staging.batch_hours (
    batch BIGINT NOT NULL,
    hour_start TIMESTAMP NOT NULL,
    events BIGINT NOT NULL,
    plays BIGINT NOT NULL,
    rejected_rows BIGINT NOT NULL,
    since BIGINT NOT NULL
)
DISTSTYLE ALL
SORTKEY (hour_start);

CREATE TABLE IF NOT EXISTS staging.retracted_hours (
    hour_start TIMESTAMP NOT NULL,
    version BIGINT NOT NULL
)
DISTSTYLE ALL
SORTKEY (hour_start);

CREATE TABLE IF NOT EXISTS staging.landed_events (
    artist VARCHAR(1024),
    auth VARCHAR(64),
    first_name VARCHAR(256),
    gender VARCHAR(16),
    item_in_session INTEGER,
    last_name VARCHAR(256),
    length DOUBLE PRECISION,
    level VARCHAR(16),
    location VARCHAR(1024),
    method VARCHAR(16),
    page VARCHAR(64) NOT NULL,
    registration DOUBLE PRECISION,
    session_id BIGINT,
    song VARCHAR(1024),
    status INTEGER,
    ts TIMESTAMP NOT NULL,
    user_agent VARCHAR(2048),
    user_id BIGINT,
    batch BIGINT
)
DISTSTYLE KEY
DISTKEY (session_id)
SORTKEY (ts);

CREATE TABLE IF NOT EXISTS staging.landed_files (
    bucket VARCHAR(64) NOT NULL,
    object_key VARCHAR(1024) NOT NULL,
    etag VARCHAR(128) NOT NULL,
    size_bytes BIGINT NOT NULL,
    last_modified TIMESTAMP NOT NULL,
    listed_at TIMESTAMP NOT NULL,
    rejected_rows BIGINT DEFAULT 0 NOT NULL,
    partition_start TIMESTAMP,
    partition_end TIMESTAMP,
    batch BIGINT
)
DISTSTYLE EVEN
SORTKEY (partition_start);

INSERT INTO staging.landed_files (bucket, object_key, etag, size_bytes, last_modified, listed_at, rejected_rows)
SELECT
    bucket,
    object_key,
    etag,
    size_bytes,
    last_modified,
    listed_at,
    rejected_rows
FROM staging.source_files
WHERE source = 'events';

DELETE FROM staging.source_files
WHERE source = 'events';

ALTER TABLE staging.published_hours ADD COLUMN version BIGINT DEFAULT 0 NOT NULL;

ALTER TABLE staging.published_hours ADD COLUMN is_landed BOOLEAN DEFAULT FALSE NOT NULL;

ALTER TABLE staging.published_hours DROP COLUMN files_digest;

ALTER TABLE staging.published_hours DROP COLUMN listed_at;

ALTER TABLE sparkify.rejected_rows ADD COLUMN batch BIGINT;

ALTER TABLE sparkify.load_history ADD COLUMN landed_before BIGINT DEFAULT 0 NOT NULL;
