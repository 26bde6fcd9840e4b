-- What is published and what is not between: windows [window_start, window_end) that follow each other, each certified
-- (every hour was checked and published, and its log files had come), awaited (published, and its log files have not come) or
-- missing. certified_until: the end of the first certified window, so that everything since its beginning up to it is there.
CREATE OR REPLACE VIEW sparkify.certified_windows AS
WITH hours AS (
    SELECT
        hour_start,
        CASE WHEN is_certified THEN 'certified' ELSE 'awaited' END AS status
    FROM staging.published_hours
),

hours_before AS (
    SELECT
        hour_start,
        status,
        LAG(hour_start) OVER (ORDER BY hour_start) AS previous_hour,
        LAG(status) OVER (ORDER BY hour_start) AS previous_status
    FROM hours
),

runs_of_hours AS (
    SELECT
        hour_start,
        status,
        SUM(
            CASE
                WHEN previous_hour = DATEADD(HOUR, -1, hour_start) AND previous_status = status THEN 0
                ELSE 1
            END
        ) OVER (ORDER BY hour_start ROWS UNBOUNDED PRECEDING) AS run_number
    FROM hours_before
),

published AS (
    SELECT
        MIN(hour_start) AS window_start,
        DATEADD(HOUR, 1, MAX(hour_start)) AS window_end,
        status
    FROM runs_of_hours
    GROUP BY run_number, status
),

following AS (
    SELECT
        window_start,
        window_end,
        status,
        LEAD(window_start) OVER (ORDER BY window_start) AS next_start,
        MIN(CASE WHEN status = 'certified' THEN window_end END) OVER () AS certified_until
    FROM published
)

SELECT
    window_start,
    window_end,
    status,
    DATEDIFF(HOUR, window_start, window_end) AS hours,
    certified_until
FROM following
UNION ALL
SELECT
    window_end AS window_start,
    next_start AS window_end,
    'missing' AS status,
    DATEDIFF(HOUR, window_end, next_start) AS hours,
    certified_until
FROM following
WHERE next_start > window_end;
