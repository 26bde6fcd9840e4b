-- Quality results of the last ten runs
-- One row per check, as the last try of the run found it; latest run first, and within a run failed checks
-- first. A check failed if the observed value satisfies error_if, or if its query could not be run: the run
-- published nothing. It warned if the value satisfies warn_if. It was skipped if there was nothing, or too
-- little, to judge.
WITH last_tries AS (
    SELECT
        *,
        ROW_NUMBER() OVER (PARTITION BY run_id, table_name, check_name ORDER BY checked_at DESC) AS tries_ago
    FROM sparkify.quality_results
),

last_runs AS (
    SELECT
        run_id,
        MAX(checked_at) AS last_checked_at
    FROM sparkify.quality_results
    GROUP BY run_id
    ORDER BY last_checked_at DESC, run_id ASC
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
FROM last_tries AS results
INNER JOIN last_runs
    ON results.run_id = last_runs.run_id
WHERE results.tries_ago = 1
ORDER BY
    last_runs.last_checked_at DESC,
    results.run_id ASC,
    CASE results.status WHEN 'failed' THEN 0 WHEN 'warned' THEN 1 WHEN 'skipped' THEN 2 ELSE 3 END ASC,
    results.table_name ASC,
    results.check_name ASC
LIMIT {{ row_limit }};
