-- The catalogue as what the song files say that are there, and rejected rows by file and hour.
CREATE TABLE IF NOT EXISTS staging.published_catalogue (
    listed_at TIMESTAMP NOT NULL,
    version BIGINT NOT NULL,
    songs BIGINT NOT NULL,
    run_id VARCHAR(512) NOT NULL
)
DISTSTYLE ALL;

ALTER TABLE staging.source_files ADD COLUMN catalogue_version BIGINT;

ALTER TABLE staging.source_files ADD COLUMN rejected_rows BIGINT DEFAULT 0 NOT NULL;

ALTER TABLE staging.published_hours ADD COLUMN duplicate_plays BIGINT;

ALTER TABLE staging.published_hours ADD COLUMN other_pages BIGINT;

ALTER TABLE staging.published_hours ADD COLUMN rejected_rows BIGINT;

ALTER TABLE staging.publish_log DROP COLUMN songs;

ALTER TABLE sparkify.rejected_rows ADD COLUMN etag VARCHAR(128);

ALTER TABLE sparkify.rejected_rows ADD COLUMN hour_start TIMESTAMP;

UPDATE staging.source_files
SET catalogue_version = 1
WHERE source = 'songs';

INSERT INTO staging.published_catalogue (listed_at, version, songs, run_id)
SELECT
    MAX(listed_at),
    1,
    (SELECT COUNT(*) FROM staging.song_observations),
    MAX(run_id)
FROM staging.source_files
WHERE source = 'songs'
HAVING COUNT(*) > 0;
