{% from 'reach.sql' import among -%}
-- The hours of the run that others have published since from what has landed later: they hold all that this run knows.
SELECT
    hours.hour_start,
    published.run_id
FROM {{ work('events_hours') }} AS hours
INNER JOIN staging.published_hours AS published
    ON hours.hour_start = published.hour_start
WHERE
    published.version > hours.version
    AND {{ among('published.hour_start', work('events_hours')) }}
ORDER BY hours.hour_start;
