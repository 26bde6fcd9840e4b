-- Data freshness
-- Regardless of the period. Hours from certified_from up to certified_up_to are certified, except for
-- missing_hours in between; hours_behind is how long ago certified_up_to was. All times are UTC.
SELECT
    MIN(CASE WHEN status = 'certified' THEN window_start END) AS certified_from,
    MAX(CASE WHEN status = 'certified' THEN window_end END) AS certified_up_to,
    DATEDIFF(HOUR, MAX(CASE WHEN status = 'certified' THEN window_end END), GETDATE()) AS hours_behind,
    NVL(
        DATEDIFF(
            HOUR,
            MIN(CASE WHEN status = 'certified' THEN window_start END),
            MAX(CASE WHEN status = 'certified' THEN window_end END)
        ) - SUM(CASE WHEN status = 'certified' THEN hours END),
        0
    ) AS missing_hours,
    (SELECT MAX(published_at) FROM sparkify.load_history) AS last_published_at,
    (
        SELECT MAX(start_time)
        FROM sparkify.time
        WHERE
            start_time >= (
                SELECT MAX(window_start)
                FROM sparkify.load_history
                WHERE songplays > 0
            )
    ) AS last_play
FROM sparkify.certified_windows
LIMIT {{ row_limit }};
