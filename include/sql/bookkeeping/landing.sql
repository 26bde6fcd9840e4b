-- The batches of which something is lost or too much: rows, files in the ledger, rejected rows, or the batch itself. Their
-- files are to land again.
WITH rows_there AS (
    SELECT
        batch,
        DATE_TRUNC('hour', ts) AS hour_start,
        COUNT(*) AS row_count
    FROM staging.landed_events
    GROUP BY batch, DATE_TRUNC('hour', ts)
),

compared AS (
    SELECT
        'rows of ' || CAST(hour_start AS VARCHAR(32)) AS what,
        batch,
        events AS difference
    FROM staging.batch_hours
    UNION ALL
    SELECT
        'rows of ' || CAST(hour_start AS VARCHAR(32)) AS what,
        batch,
        -row_count AS difference
    FROM rows_there
    UNION ALL
    SELECT
        'files' AS what,
        batch,
        files AS difference
    FROM staging.batches
    WHERE is_live
    UNION ALL
    SELECT
        'files' AS what,
        batch,
        -1 AS difference
    FROM staging.landed_files
    WHERE batch IS NOT NULL
    UNION ALL
    SELECT
        'rejected rows' AS what,
        batch,
        rejected_rows AS difference
    FROM staging.batches
    WHERE is_live
    UNION ALL
    SELECT
        'rejected rows' AS what,
        batch,
        -1 AS difference
    FROM sparkify.rejected_rows
    WHERE batch IS NOT NULL
    UNION ALL
    SELECT
        'rows' AS what,
        batch,
        read_rows - rejected_rows AS difference
    FROM staging.batches
    WHERE
        is_live
        AND NOT is_purged
    UNION ALL
    SELECT
        'rows' AS what,
        hours.batch,
        -hours.events AS difference
    FROM staging.batch_hours AS hours
    LEFT JOIN staging.batches AS batches
        ON hours.batch = batches.batch
    WHERE NOT NVL(batches.is_purged, FALSE)
)

SELECT DISTINCT batch
FROM (
    SELECT batch
    FROM compared
    GROUP BY batch, what
    HAVING SUM(difference) <> 0
) AS different
ORDER BY batch;
