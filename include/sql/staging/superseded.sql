-- Hours and songs of the run that others published, since it listed its files, from files that are not the same.
SELECT
    'hour ' || TO_CHAR(published.hour_start, 'YYYY-MM-DD HH24:MI') AS superseded,
    published.run_id
FROM {{ work('events_files') }} AS staged
INNER JOIN staging.published_hours AS published
    ON staged.hour_start = published.hour_start
WHERE
    published.listed_at > staged.listed_at
    AND published.files_digest <> staged.files_digest
GROUP BY published.hour_start, published.run_id
UNION ALL
SELECT
    'file ' || published.object_key AS superseded,
    published.run_id
FROM {{ work('songs_files') }} AS staged
INNER JOIN staging.source_files AS published
    ON staged.object_key = published.object_key
WHERE
    published.source = 'songs'
    AND published.bucket = {{ quote(bucket) }}
    AND published.listed_at > staged.listed_at
    AND published.etag <> staged.etag
ORDER BY superseded;
