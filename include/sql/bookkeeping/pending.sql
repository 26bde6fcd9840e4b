-- The published hours, from one moment to another, of which rows came or went since they were derived.
SELECT published.hour_start
FROM staging.published_hours AS published
INNER JOIN (
    SELECT
        hour_start,
        since AS version
    FROM staging.batch_hours
    UNION ALL
    SELECT
        hour_start,
        version
    FROM staging.retracted_hours
) AS changed
    ON published.hour_start = changed.hour_start
WHERE
    published.hour_start >= %s
    AND published.hour_start < %s
    AND changed.version > published.version
GROUP BY published.hour_start
ORDER BY published.hour_start;
