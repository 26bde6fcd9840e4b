-- Plays by weekday
-- One row per weekday (UTC) with plays, Monday first. A month has five of some weekdays and four of others,
-- so compare plays_per_day: plays divided by the number of days of that weekday that had any.
WITH plays_of_day AS (
    SELECT
        TRUNC(start_time) AS day,
        COUNT(*) AS plays
    FROM sparkify.songplays
    WHERE
        start_time >= TIMESTAMP '{{ period_start }}'
        AND start_time < TIMESTAMP '{{ period_end }}'
    GROUP BY TRUNC(start_time)
),

weekdays AS (
    SELECT
        EXTRACT(DOW FROM day) AS weekday_number,
        SUM(plays) AS plays,
        COUNT(*) AS days
    FROM plays_of_day
    GROUP BY EXTRACT(DOW FROM day)
)

SELECT
    CASE weekday_number
        WHEN 0 THEN 'Sunday'
        WHEN 1 THEN 'Monday'
        WHEN 2 THEN 'Tuesday'
        WHEN 3 THEN 'Wednesday'
        WHEN 4 THEN 'Thursday'
        WHEN 5 THEN 'Friday'
        ELSE 'Saturday'
    END AS weekday,
    CAST(ROUND(1.0 * plays / days, 1) AS DECIMAL(18, 1)) AS plays_per_day,
    plays,
    days
FROM weekdays
ORDER BY MOD(weekday_number + 6, 7) ASC
LIMIT {{ row_limit }};
