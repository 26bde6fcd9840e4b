-- What is known to have changed among the song files and is not published yet, the sweeps that find it, and the run that
-- stages all. Redshift moves the rows of the ledger in the background.
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

CREATE TABLE IF NOT EXISTS staging.catalogue_claims (
    run_id VARCHAR(512) NOT NULL,
    claimed_at TIMESTAMP NOT NULL
)
DISTSTYLE ALL;

ALTER TABLE staging.source_files ALTER DISTSTYLE KEY DISTKEY object_key;
