-- Plays by hour of the day
-- One row an hour of the day, in UTC and not in the listener's own time; hours without plays have a row too.
-- listeners are distinct users over all days of the period.
WITH RECURSIVE hours (hour_utc) AS (
    SELECT 0 AS hour_utc
    UNION ALL
    SELECT hour_utc + 1
    FROM hours
    WHERE hour_utc < 23
),

plays_of_hour AS (
    SELECT
        EXTRACT(HOUR FROM start_time) AS hour_utc,
        COUNT(*) AS plays,
        COUNT(DISTINCT user_id) AS listeners
    FROM sparkify.songplays
    WHERE
        start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY EXTRACT(HOUR FROM start_time)
)

SELECT
    hours.hour_utc,
    NVL(plays_of_hour.plays, 0) AS plays,
    NVL(plays_of_hour.listeners, 0) AS listeners
FROM hours
LEFT JOIN plays_of_hour
    ON hours.hour_utc = plays_of_hour.hour_utc
ORDER BY hours.hour_utc ASC
LIMIT {{ row_limit }};
