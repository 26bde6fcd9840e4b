-- Internals that belong to no one table of the model. Readers need no privilege on schema staging.

-- The mutex of publishing. LOCK is ACCESS EXCLUSIVE on Redshift and would stop readers of a published table,
-- so what is locked is this table, which nobody reads.
CREATE TABLE IF NOT EXISTS staging.publish_lock (
    held_for VARCHAR(64)
)
DISTSTYLE ALL;

-- The mutex of landing: who holds it brings new log files in, and nobody else does meanwhile.
CREATE TABLE IF NOT EXISTS staging.landing_lock (
    held_for VARCHAR(64)
)
DISTSTYLE ALL;

-- The ledger of song files: which bytes (ETag) of which object were published last, and when they were listed.
-- catalogue_version: the version of published_catalogue that brought these bytes. rejected_rows: those of
-- the file itself; one that has some is staged, and counted, by every run until it is mended.
-- DISTKEY object_key: a sweep compares it with all that it lists, which lies by key too.
CREATE TABLE IF NOT EXISTS staging.source_files (
    source VARCHAR(16) NOT NULL,
    bucket VARCHAR(64) NOT NULL,
    object_key VARCHAR(1024) NOT NULL,
    etag VARCHAR(128) NOT NULL,
    size_bytes BIGINT NOT NULL,
    last_modified TIMESTAMP NOT NULL,
    listed_at TIMESTAMP NOT NULL,
    run_id VARCHAR(512) NOT NULL,
    published_at TIMESTAMP NOT NULL,
    catalogue_version BIGINT,
    rejected_rows BIGINT DEFAULT 0 NOT NULL
)
DISTSTYLE KEY
DISTKEY (object_key)
SORTKEY (source, object_key);

-- The ledger of log files: which bytes (ETag) of which object have landed, and when they were listed. A table of its own, so
-- that landing writes none that publish writes, and neither waits for the other. partition_start, partition_end: the span
-- of time that the key names. batch: the one that holds the file's rows; NULL, all three, where an earlier version of the
-- pipeline loaded the file, which kept no rows. rejected_rows: those of the file itself.
-- DISTSTYLE EVEN, SORTKEY partition_start: read by the partitions that a run lists.
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

-- One row a batch of log files: what one COPY brought into landed_events. Numbers only grow: that of the last batch is the
-- version of what has landed. A file that has changed takes its batch's place together with the others of it, because COPY
-- does not say which row is of which file: then the batch is not live any more. is_purged: whether rows of it went for their
-- age. read_rows: in its files, of which rejected_rows did not land.
-- DISTSTYLE ALL: a few rows an hour.
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

-- One row a batch and hour of its events. since: the version with which these rows came; a published hour of a lower
-- version lacks them. It stays where other bytes of the files hold the same rows.
-- DISTSTYLE ALL, SORTKEY hour_start: joined to published_hours.
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

-- One row an hour that lost rows with a version, because a file of it was written anew or is gone. A published hour of a
-- lower version has rows that are to be taken back: the next run of the hour does.
CREATE TABLE IF NOT EXISTS staging.retracted_hours (
    hour_start TIMESTAMP NOT NULL,
    version BIGINT NOT NULL
)
DISTSTYLE ALL
SORTKEY (hour_start);

-- One row once songs were published: when the song files were listed that the catalogue comes from, how often it was
-- published, and how many songs it has. A run whose listing is older does not publish its songs; without the row, the
-- next run stages all song files.
-- DISTSTYLE ALL: one row.
CREATE TABLE IF NOT EXISTS staging.published_catalogue (
    listed_at TIMESTAMP NOT NULL,
    version BIGINT NOT NULL,
    songs BIGINT NOT NULL,
    run_id VARCHAR(512) NOT NULL
)
DISTSTYLE ALL;

-- The run that stages all song files, until it has published them or is over: others leave them to it.
-- DISTSTYLE ALL: one row at most.
CREATE TABLE IF NOT EXISTS staging.catalogue_claims (
    run_id VARCHAR(512) NOT NULL,
    claimed_at TIMESTAMP NOT NULL
)
DISTSTYLE ALL;

-- What is known to have changed among the song files and is not published yet, as notifications and sweeps tell it.
-- A row is a hint, and may be doubled, late or wrong: the run that reads it looks at the file itself. found_by: the one
-- transaction that entered it. kind: created, also in the place of another (etag: its bytes, where they were told), or
-- removed.
-- DISTSTYLE EVEN, SORTKEY found_at: small, appended to.
CREATE TABLE IF NOT EXISTS staging.song_changes (
    found_by VARCHAR(64) NOT NULL,
    found_at TIMESTAMP NOT NULL,
    kind VARCHAR(16) NOT NULL,
    bucket VARCHAR(64) NOT NULL,
    object_key VARCHAR(1024) NOT NULL,
    etag VARCHAR(128)
)
DISTSTYLE EVEN
SORTKEY (found_at);

-- One row a sweep of the song files: when its listing began, and how the files differed from the ledger.
-- DISTSTYLE ALL, SORTKEY listed_at: one row a day.
CREATE TABLE IF NOT EXISTS staging.song_sweeps (
    listed_at TIMESTAMP NOT NULL,
    run_id VARCHAR(512) NOT NULL,
    listed_files BIGINT NOT NULL,
    new_files BIGINT NOT NULL,
    changed_files BIGINT NOT NULL,
    gone_files BIGINT NOT NULL
)
DISTSTYLE ALL
SORTKEY (listed_at);

-- One row a published hour. version: that of what had landed when the hour was derived; a run that has derived it from a
-- lower version does not publish it. is_landed: whether landed_events has all its rows. They go for their age,
-- and an earlier version of the pipeline kept none. is_certified: whether its files had come, or an earlier version
-- published it.
-- songplays, user_observations: the rows that the hour was published with; where the tables hold others, rows were lost or
-- changed by other hands. duplicate_plays, other_pages, rejected_rows: what else its events were; NULL where an earlier
-- version published the hour.
-- DISTSTYLE ALL: 8,760 rows a year. SORTKEY hour_start: read and replaced by ranges of it.
CREATE TABLE IF NOT EXISTS staging.published_hours (
    hour_start TIMESTAMP NOT NULL,
    run_id VARCHAR(512) NOT NULL,
    songplays BIGINT DEFAULT 0 NOT NULL,
    user_observations BIGINT DEFAULT 0 NOT NULL,
    duplicate_plays BIGINT,
    other_pages BIGINT,
    rejected_rows BIGINT,
    version BIGINT DEFAULT 0 NOT NULL,
    is_landed BOOLEAN DEFAULT FALSE NOT NULL,
    is_certified BOOLEAN DEFAULT TRUE NOT NULL
)
DISTSTYLE ALL
SORTKEY (hour_start);

-- One row a publish task whose transaction committed: how a try whose COMMIT got no answer, or one that finds its
-- work tables gone, learns that it had.
-- DISTSTYLE ALL, SORTKEY published_at: small, appended to.
CREATE TABLE IF NOT EXISTS staging.publish_log (
    publish_id VARCHAR(64) NOT NULL,
    run_id VARCHAR(512) NOT NULL,
    published_at TIMESTAMP NOT NULL
)
DISTSTYLE ALL
SORTKEY (published_at);

-- The events of all log files that have landed and are there, each with its batch: what hours are derived from, when they
-- are loaded and whenever rows of them come later.
-- In the order of log_json_path.json, but for batch. COPY does every conversion, so a value that does not fit its type is
-- refused with file and line. NOT NULL: an event without ts belongs to no hour, one without page to no table, so COPY
-- refuses them too. batch is set when the rows of a COPY have been counted.
-- DISTKEY session_id: plays of a session together; user_id is missing in some. SORTKEY ts: read by hours.
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
