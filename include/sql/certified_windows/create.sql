-- What is published and what is missing between: windows [window_start, window_end) that follow each other, each
-- certified (every hour was checked and published) or missing. certified_until: the end of the first certified
-- window, so that everything since the first published hour up to it is there.
CREATE OR REPLACE VIEW sparkify.certified_windows AS
WITH hours AS (
    SELECT
        hour_start,
        LAG(hour_start) OVER (ORDER BY hour_start) AS previous_hour
    FROM staging.published_hours
),

runs_of_hours AS (
    SELECT
        hour_start,
        SUM(CASE WHEN previous_hour = DATEADD(HOUR, -1, hour_start) THEN 0 ELSE 1 END)
            OVER (ORDER BY hour_start ROWS UNBOUNDED PRECEDING) AS run_number
    FROM hours
),

certified AS (
    SELECT
        MIN(hour_start) AS window_start,
        DATEADD(HOUR, 1, MAX(hour_start)) AS window_end
    FROM runs_of_hours
    GROUP BY run_number
),

following AS (
    SELECT
        window_start,
        window_end,
        LEAD(window_start) OVER (ORDER BY window_start) AS next_start,
        MIN(window_end) OVER () AS certified_until
    FROM certified
)

SELECT
    window_start,
    window_end,
    'certified' AS status,
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
WHERE next_start IS NOT NULL;
