-- Changes that the ledger does not know of yet, oldest first: of which file, who found it, and the ETag that was published.
SELECT
    changes.bucket,
    changes.object_key,
    changes.found_by,
    published.etag
FROM staging.song_changes AS changes
LEFT JOIN staging.source_files AS published
    ON
        published.source = 'songs'
        AND changes.bucket = published.bucket
        AND changes.object_key = published.object_key
WHERE
    (changes.kind = 'created' AND (published.etag IS NULL OR published.etag <> NVL(changes.etag, '')))
    OR (changes.kind = 'removed' AND published.etag IS NOT NULL)
ORDER BY changes.found_at, changes.object_key, changes.found_by
LIMIT {{ limit }};
