-- Missing hours
-- One row a span of hours between certified ones that nobody loaded, whatever the period, the latest first; the end
-- is not included. Load it with the DAG sparkify, as one window.
WITH windows AS (
    SELECT
        window_start,
        MAX(window_end) OVER (
            ORDER BY window_start, window_end
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS certified_before
    FROM sparkify.load_history
)

SELECT
    certified_before AS missing_from,
    window_start AS missing_up_to,
    DATEDIFF(hour, certified_before, window_start) AS hours
FROM windows
WHERE window_start > certified_before
ORDER BY missing_from DESC
LIMIT {{ row_limit }};
