-- What COPY refused in one session, without the rows' text. Redshift: SYS_LOAD_ERROR_DETAIL, blank-padded columns; of
-- provisioned clusters, also where concurrency scaling ran the COPY, and of Serverless.
SELECT
    BTRIM(file_name) AS file_name,
    line_number,
    BTRIM(column_name) AS column_name,
    error_code,
    BTRIM(error_message) AS reason,
    CAST(NULL AS VARCHAR(1024)) AS raw_line
FROM sys_load_error_detail
WHERE
    session_id = %s
    AND start_time >= %s
ORDER BY 1, 2, 3;
