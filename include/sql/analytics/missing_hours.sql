-- Missing hours
-- One row per span of hours between certified ones that nobody loaded, regardless of the period, latest
-- first; the end is exclusive. Load it with the DAG sparkify, as one window.
SELECT
    window_start AS missing_from,
    window_end AS missing_up_to,
    hours
FROM sparkify.certified_windows
WHERE status = 'missing'
ORDER BY missing_from DESC
LIMIT {{ row_limit }};
