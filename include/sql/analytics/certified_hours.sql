-- Certified hours
-- One row an unbroken span of certified hours, whatever the period, the latest first; the end is not included. What
-- is certified passed its checks and was published whole.
WITH windows AS (
    SELECT
        window_start,
        window_end,
        MAX(window_end) OVER (
            ORDER BY window_start, window_end
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS certified_before
    FROM sparkify.load_history
),

numbered AS (
    SELECT
        window_start,
        window_end,
        SUM(CASE WHEN window_start <= certified_before THEN 0 ELSE 1 END) OVER (
            ORDER BY window_start, window_end
            ROWS UNBOUNDED PRECEDING
        ) AS span_number
    FROM windows
)

SELECT
    MIN(window_start) AS certified_from,
    MAX(window_end) AS certified_up_to,
    DATEDIFF(hour, MIN(window_start), MAX(window_end)) AS hours
FROM numbered
GROUP BY span_number
ORDER BY certified_from DESC
LIMIT {{ row_limit }};
