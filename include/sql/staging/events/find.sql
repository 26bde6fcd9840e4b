{#- `listed_from`, `listed_to`: literals, where the partitions begin that were listed, the last one not included; `listed_at`:
    when. -#}
-- What is to be done for the log files that were listed. New are those that never landed, of which the bytes are others, or,
-- in the window, of which rows went for their age or were never kept. A file that was listed later by another run stays as that one
-- saw it. Gone are those that landed from these partitions and are not listed any more.
SELECT
    'new' AS state,
    files.object_key,
    files.etag,
    files.size_bytes,
    files.last_modified,
    files.partition_start,
    known.batch
FROM {{ work('events_files') }} AS files
LEFT JOIN staging.landed_files AS known
    ON
        known.bucket = {{ quote(stage.s3_bucket) }}
        AND files.object_key = known.object_key
LEFT JOIN staging.batches AS batches
    ON known.batch = batches.batch
WHERE
    known.object_key IS NULL
    OR (files.etag <> known.etag AND files.listed_at >= known.listed_at)
    OR (
        NVL(batches.is_purged, TRUE)
        AND files.partition_start < TIMESTAMP '{{ window.end_sql }}'
        AND files.partition_end > TIMESTAMP '{{ window.start_sql }}'
    )
UNION ALL
SELECT
    'gone' AS state,
    known.object_key,
    known.etag,
    known.size_bytes,
    known.last_modified,
    known.partition_start,
    known.batch
FROM staging.landed_files AS known
LEFT JOIN {{ work('events_files') }} AS files
    ON known.object_key = files.object_key
WHERE
    known.bucket = {{ quote(stage.s3_bucket) }}
    AND known.partition_start >= TIMESTAMP '{{ listed_from }}'
    AND known.partition_start < TIMESTAMP '{{ listed_to }}'
    AND known.listed_at < TIMESTAMP '{{ listed_at }}'
    AND files.object_key IS NULL
ORDER BY partition_start, object_key;
