-- Quality results of the last ten runs
-- One row a check, the latest run first and in it what failed first. A check failed where what it observed satisfies
-- error_if, and the window was not published; it warned where that satisfies warn_if; it was skipped where there was
-- nothing, or too little, to judge.
WITH last_runs AS (
    SELECT
        run_id,
        MAX(checked_at) AS last_checked_at
    FROM sparkify.quality_results
    GROUP BY run_id
    ORDER BY last_checked_at DESC
    LIMIT 10
)

SELECT
    results.checked_at,
    results.window_start,
    results.window_end,
    results.table_name,
    results.check_name,
    results.severity,
    results.status,
    results.observed,
    results.rows_checked,
    results.warn_if,
    results.error_if,
    results.detail,
    results.run_id
FROM sparkify.quality_results AS results
INNER JOIN last_runs
    ON results.run_id = last_runs.run_id
ORDER BY
    last_runs.last_checked_at DESC,
    results.run_id ASC,
    CASE results.status WHEN 'failed' THEN 0 WHEN 'warned' THEN 1 WHEN 'skipped' THEN 2 ELSE 3 END ASC,
    results.table_name ASC,
    results.check_name ASC,
    results.checked_at DESC
LIMIT {{ row_limit }};
