-- The published hours whose rejected rows are not kept: those of the hour itself, where they did not come with a batch, and
-- those of a song file that the run of the hour was the last to read. Rows whose file is not known may be those of any.
WITH of_files AS (
    SELECT
        source,
        file_name,
        COUNT(*) AS row_count
    FROM sparkify.rejected_rows
    WHERE hour_start IS NULL
    GROUP BY source, file_name
),

of_hours AS (
    SELECT
        hour_start,
        COUNT(*) AS row_count
    FROM sparkify.rejected_rows
    WHERE hour_start IS NOT NULL
    GROUP BY hour_start
)

SELECT published.hour_start
FROM staging.published_hours AS published
LEFT JOIN of_hours
    ON published.hour_start = of_hours.hour_start
WHERE
    NOT published.is_landed
    AND NVL(of_hours.row_count, 0) < NVL(published.rejected_rows, 0)
UNION
SELECT published.hour_start
FROM staging.published_hours AS published
INNER JOIN staging.source_files AS files
    ON published.run_id = files.run_id
LEFT JOIN of_files
    ON
        files.source = of_files.source
        AND 's3://' || files.bucket || '/' || files.object_key = of_files.file_name
LEFT JOIN (
    SELECT DISTINCT nameless.source
    FROM of_files AS nameless
    WHERE
        nameless.file_name IS NULL
        OR nameless.file_name LIKE '%…'
) AS unknown
    ON files.source = unknown.source
WHERE
    files.rejected_rows > 0
    AND NVL(of_files.row_count, 0) < files.rejected_rows
    AND unknown.source IS NULL
ORDER BY hour_start;
