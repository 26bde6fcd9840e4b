-- The hours of the run that others published, since it listed its files, from files that are not the same.
SELECT
    published.hour_start,
    published.run_id
FROM {{ work('events_files') }} AS staged
INNER JOIN staging.published_hours AS published
    ON staged.hour_start = published.hour_start
WHERE
    published.hour_start >= TIMESTAMP '{{ window.start_sql }}'
    AND published.hour_start < TIMESTAMP '{{ window.end_sql }}'
    AND published.listed_at > staged.listed_at
    AND published.files_digest <> staged.files_digest
GROUP BY published.hour_start, published.run_id
ORDER BY published.hour_start;
