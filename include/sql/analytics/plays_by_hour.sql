-- Plays by hour of the day
-- One row per hour of the day, in UTC and not in the listener's own time zone: 0 is from midnight to 1 a.m.
-- Hours without plays have a row too.
WITH RECURSIVE hours (hour_utc) AS (
    SELECT 0 AS hour_utc
    UNION ALL
    SELECT hour_utc + 1
    FROM hours
    WHERE hour_utc < 23
),

plays_of_hour AS (
    SELECT
        DATE_TRUNC('hour', start_time) AS hour_start,
        COUNT(*) AS plays
    FROM sparkify.songplays
    WHERE
        start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY DATE_TRUNC('hour', start_time)
)

SELECT
    hours.hour_utc,
    NVL(SUM(plays_of_hour.plays), 0) AS plays
FROM hours
LEFT JOIN plays_of_hour
    ON hours.hour_utc = EXTRACT(HOUR FROM plays_of_hour.hour_start)
GROUP BY hours.hour_utc
ORDER BY hours.hour_utc ASC
LIMIT {{ row_limit }};
