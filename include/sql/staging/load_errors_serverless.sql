-- What COPY refused in one session, on Redshift Serverless, which has no STL tables. SYS_LOAD_ERROR_DETAIL does
-- not hold the refused line itself.
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
