-- Changes of which the ledger now says what they told, or what this run saw of their files after it had read them.
CREATE TEMP TABLE settled_changes
DISTSTYLE EVEN
AS
SELECT
    changes.found_by,
    changes.bucket,
    changes.object_key,
    changes.kind,
    changes.etag
FROM staging.song_changes AS changes
LEFT JOIN staging.source_files AS published
    ON
        published.source = 'songs'
        AND changes.bucket = published.bucket
        AND changes.object_key = published.object_key
LEFT JOIN {{ work('songs_seen') }} AS seen
    ON
        changes.found_by = seen.found_by
        AND changes.bucket = seen.bucket
        AND changes.object_key = seen.object_key
WHERE
    (changes.kind = 'created' AND changes.etag = published.etag)
    OR (changes.kind = 'removed' AND published.etag IS NULL)
    OR (seen.found_by IS NOT NULL AND NVL(seen.etag, '') = NVL(published.etag, ''));

DELETE FROM staging.song_changes
USING settled_changes
WHERE
    song_changes.found_by = settled_changes.found_by
    AND song_changes.bucket = settled_changes.bucket
    AND song_changes.object_key = settled_changes.object_key
    AND song_changes.kind = settled_changes.kind
    AND NVL(song_changes.etag, '') = NVL(settled_changes.etag, '');
