-- How many files others have published since the run looked at the songs that it has not staged.
SELECT COUNT(*)
FROM staging.source_files AS files
CROSS JOIN {{ work('songs_catalogue') }} AS seen
LEFT JOIN {{ work('songs_files') }} AS staged
    ON
        files.object_key = staged.object_key
        AND files.etag = staged.etag
WHERE
    files.source = 'songs'
    AND files.catalogue_version > seen.version
    AND staged.object_key IS NULL;
