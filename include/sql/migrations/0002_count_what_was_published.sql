-- How many rows each hour, and the catalogue, was published with. For what was published before, the rows that are
-- there now count.
LOCK staging.publish_lock;

ALTER TABLE staging.published_hours ADD COLUMN songplays BIGINT DEFAULT 0 NOT NULL;

ALTER TABLE staging.published_hours ADD COLUMN user_observations BIGINT DEFAULT 0 NOT NULL;

ALTER TABLE staging.publish_log ADD COLUMN songs BIGINT;

UPDATE staging.published_hours
SET songplays = counted.songplays
FROM (
    SELECT
        DATE_TRUNC('hour', start_time) AS hour_start,
        COUNT(*) AS songplays
    FROM sparkify.songplays
    GROUP BY DATE_TRUNC('hour', start_time)
) AS counted
WHERE published_hours.hour_start = counted.hour_start;

UPDATE staging.published_hours
SET user_observations = counted.user_observations
FROM (
    SELECT
        DATE_TRUNC('hour', observed_at) AS hour_start,
        COUNT(*) AS user_observations
    FROM staging.user_observations
    GROUP BY DATE_TRUNC('hour', observed_at)
) AS counted
WHERE published_hours.hour_start = counted.hour_start;

UPDATE staging.publish_log
SET songs = (SELECT COUNT(*) FROM staging.song_observations);
