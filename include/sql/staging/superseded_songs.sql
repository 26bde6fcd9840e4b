-- The song files of the run that others published, since it listed them, with other bytes.
SELECT
    published.object_key,
    published.run_id
FROM {{ work('songs_files') }} AS staged
INNER JOIN staging.source_files AS published
    ON staged.object_key = published.object_key
WHERE
    published.source = 'songs'
    AND published.bucket = {{ quote(bucket) }}
    AND published.listed_at > staged.listed_at
    AND published.etag <> staged.etag
ORDER BY published.object_key;
