-- Missing hours
-- One row per span of hours that are not certified, up to the last published one, regardless of the period, latest
-- first; the end is exclusive. Missing: nobody loaded them; load them with the DAG sparkify, as one window. Awaited: they
-- are loaded, and their log files have not come.
SELECT
    window_start AS missing_from,
    window_end AS missing_up_to,
    hours,
    status
FROM sparkify.certified_windows
WHERE status <> 'certified'
ORDER BY missing_from DESC
LIMIT {{ row_limit }};
