-- Rejected rows
-- One row a source row that could not be loaded and a run that met it, whatever the period, the latest first: its file
-- and line, the column that refused it and why. A row without a readable time is met by each hourly run of its day.
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
