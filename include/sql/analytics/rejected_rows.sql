-- Rejected rows
-- One row per source row that could not be loaded and per run that met it, regardless of the period, latest
-- first: its file and line, the column that refused it, and the reason. A row without a readable time is met
-- by each hourly run of its day.
SELECT
    rejected_at,
    source,
    file_name,
    line_number,
    column_name,
    error_code,
    reason,
    raw_line,
    window_start,
    window_end,
    run_id
FROM sparkify.rejected_rows
ORDER BY rejected_at DESC, file_name ASC, line_number ASC
LIMIT {{ row_limit }};
