{% from 'staging/changes.sql' import changes -%}
-- The published hours, from one moment to another, of which rows came or went since they were derived.
SELECT published.hour_start
FROM staging.published_hours AS published
INNER JOIN (
    {{ changes() | indent }}
) AS changed
    ON published.hour_start = changed.hour_start
WHERE
    published.hour_start >= %s
    AND published.hour_start < %s
    AND changed.version > published.version
GROUP BY published.hour_start
ORDER BY published.hour_start;
