-- Enters how the listed files differ from the ledger. The listing shows what became of changes that were known before
-- it began, and says it in their place; those that were told meanwhile stay.
DELETE FROM staging.song_changes
USING {{ work('songs_known') }} AS known
WHERE song_changes.found_by = known.found_by;

INSERT INTO staging.song_changes (found_by, found_at, kind, bucket, object_key, etag)
SELECT
    {{ quote(found_by) }},
    GETDATE(),
    CASE WHEN listed.object_key IS NULL THEN 'removed' ELSE 'created' END,
    NVL(listed.bucket, published.bucket),
    NVL(listed.object_key, published.object_key),
    listed.etag
FROM (
    SELECT
        CAST({{ quote(sweep.s3_bucket) }} AS VARCHAR(64)) AS bucket,
        object_key,
        etag
    FROM {{ work('songs_listed') }}
) AS listed
FULL OUTER JOIN (
    SELECT
        bucket,
        object_key,
        etag
    FROM staging.source_files
    WHERE source = 'songs'
) AS published
    ON
        listed.bucket = published.bucket
        AND listed.object_key = published.object_key
WHERE
    listed.etag IS NULL
    OR published.etag IS NULL
    OR listed.etag <> published.etag;

INSERT INTO staging.song_sweeps (listed_at, run_id, listed_files, new_files, changed_files, gone_files)
SELECT
    TIMESTAMP '{{ listed_at }}',
    {{ quote(run_id) }},
    (SELECT COUNT(*) FROM {{ work('songs_listed') }}),
    NVL(SUM(CASE WHEN changes.kind = 'created' AND published.etag IS NULL THEN 1 ELSE 0 END), 0),
    NVL(SUM(CASE WHEN changes.kind = 'created' AND published.etag IS NOT NULL THEN 1 ELSE 0 END), 0),
    NVL(SUM(CASE WHEN changes.kind = 'removed' THEN 1 ELSE 0 END), 0)
FROM staging.song_changes AS changes
LEFT JOIN staging.source_files AS published
    ON
        published.source = 'songs'
        AND changes.bucket = published.bucket
        AND changes.object_key = published.object_key
WHERE changes.found_by = {{ quote(found_by) }};
