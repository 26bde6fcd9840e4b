-- Rejected rows
-- One row per source row that could not be loaded, regardless of the period, latest first: its file and line,
-- the column that refused it, and the reason. The window is that of the last run that read the file. The row's
-- own text may be personal: it is in raw_line of sparkify.rejected_rows, which readers cannot select.
SELECT
    rejected_at,
    source,
    file_name,
    line_number,
    column_name,
    error_code,
    reason,
    window_start,
    window_end,
    run_id
FROM sparkify.rejected_rows
ORDER BY rejected_at DESC, file_name ASC, line_number ASC
LIMIT {{ row_limit }};
