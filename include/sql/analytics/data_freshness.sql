-- How fresh the data is
-- One row, whatever the period. Data are certified from certified_from up to certified_up_to, but for missing_hours
-- in between; hours_behind is how long ago that end is. All times are UTC.
WITH windows AS (
    SELECT
        window_start,
        window_end,
        published_at,
        MAX(window_end) OVER (
            ORDER BY window_start, window_end
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS certified_before
    FROM sparkify.load_history
)

SELECT
    MIN(window_start) AS certified_from,
    MAX(window_end) AS certified_up_to,
    DATEDIFF(hour, MAX(window_end), GETDATE()) AS hours_behind,
    NVL(
        SUM(CASE WHEN window_start > certified_before THEN DATEDIFF(hour, certified_before, window_start) END),
        0
    ) AS missing_hours,
    MAX(published_at) AS last_published_at,
    (SELECT MAX(start_time) FROM sparkify.songplays) AS last_play
FROM windows
LIMIT {{ row_limit }};
