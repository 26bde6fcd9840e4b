-- Internals that belong to no one table of the model. Readers need no privilege on schema staging.

-- The mutex of publishing. LOCK is ACCESS EXCLUSIVE on Redshift and would stop readers of a published table,
-- so what is locked is this table, which nobody reads.
CREATE TABLE IF NOT EXISTS staging.publish_lock (
    held_for VARCHAR(64)
)
DISTSTYLE ALL;

-- The ledger of source files: which bytes (ETag) of which object were published last, and when they were listed.
-- catalogue_version: of a song file, the version of published_catalogue that brought these bytes. rejected_rows: those
-- of the file itself; a song file that has some is staged, and counted, by every run until it is mended.
-- DISTSTYLE EVEN: read whole, joined to nothing large. SORTKEY: songs and events are looked up by themselves.
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
DISTSTYLE EVEN
SORTKEY (source, object_key);

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

-- One row a published hour: a digest of the log files of its day as they were when the hour was staged (also of
-- none). Where the files have another digest today, the hour is to be loaded again; and a run whose listing is
-- older than the one that was published does not publish over it. songplays, user_observations: the rows that the hour
-- was published with; where the tables hold others, rows were lost or changed by other hands. duplicate_plays, other_pages,
-- rejected_rows: what else its events were; NULL where an earlier version published the hour.
-- DISTSTYLE ALL: 8,760 rows a year. SORTKEY hour_start: read and replaced by ranges of it.
CREATE TABLE IF NOT EXISTS staging.published_hours (
    hour_start TIMESTAMP NOT NULL,
    files_digest VARCHAR(64) NOT NULL,
    listed_at TIMESTAMP NOT NULL,
    run_id VARCHAR(512) NOT NULL,
    songplays BIGINT DEFAULT 0 NOT NULL,
    user_observations BIGINT DEFAULT 0 NOT NULL,
    duplicate_plays BIGINT,
    other_pages BIGINT,
    rejected_rows BIGINT
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
