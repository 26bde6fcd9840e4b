{% from 'staging/changes.sql' import changes -%}
{#- `before`: a literal of TIMESTAMP, the start of a day. -#}
-- Rows that landed of hours long past go, once the hours are published and lack nothing. What comes later for such an hour
-- joins what is published of it; a run of the hour has its files land again.
CREATE TEMP TABLE purged_hours
DISTSTYLE ALL
AS
SELECT published.hour_start
FROM staging.published_hours AS published
LEFT JOIN (
    {{ changes() | indent }}
) AS changed
    ON
        published.hour_start = changed.hour_start
        AND published.version < changed.version
WHERE
    published.hour_start < TIMESTAMP '{{ before }}'
    AND published.is_landed
    AND changed.hour_start IS NULL;

UPDATE staging.batches
SET is_purged = TRUE
FROM (
    SELECT DISTINCT batch_hours.batch
    FROM staging.batch_hours AS batch_hours
    INNER JOIN purged_hours
        ON batch_hours.hour_start = purged_hours.hour_start
) AS purged
WHERE batches.batch = purged.batch;

DELETE FROM staging.landed_events
USING purged_hours
WHERE
    landed_events.ts < TIMESTAMP '{{ before }}'
    AND DATE_TRUNC('hour', landed_events.ts) = purged_hours.hour_start;

DELETE FROM staging.batch_hours
USING purged_hours
WHERE batch_hours.hour_start = purged_hours.hour_start;

DELETE FROM staging.retracted_hours
USING purged_hours
WHERE retracted_hours.hour_start = purged_hours.hour_start;

UPDATE staging.published_hours
SET is_landed = FALSE
FROM purged_hours
WHERE published_hours.hour_start = purged_hours.hour_start;
