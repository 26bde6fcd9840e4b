-- The run's songs are published, or the next run stages them: a task that is cleared later does without.
INSERT INTO {{ work('songs_catalogue') }} (listed_at, version, is_whole, known_files)
SELECT
    NVL(MAX(listed_at), TIMESTAMP '1970-01-01 00:00:00'),
    NVL(MAX(version), 0),
    FALSE,
    0
FROM staging.published_catalogue;
