-- Whether the run's songs are to be left out: others have published since, from a later listing or from files that the
-- run did not see. (A run that stages all files replaces what others published from an earlier listing.)
SELECT
    published.run_id,
    published.listed_at
FROM staging.published_catalogue AS published
CROSS JOIN {{ work('songs_catalogue') }} AS seen
CROSS JOIN (
    SELECT NVL(MAX(files.catalogue_version), 0) AS version
    FROM staging.source_files AS files
    LEFT JOIN {{ work('songs_files') }} AS staged
        ON
            files.object_key = staged.object_key
            AND files.etag = staged.etag
    WHERE
        files.source = 'songs'
        AND staged.object_key IS NULL
) AS unseen
WHERE
    published.listed_at > seen.listed_at
    OR (unseen.version > seen.version AND NOT seen.is_whole);
