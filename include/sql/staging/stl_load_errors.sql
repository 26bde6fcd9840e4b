-- What COPY refused in one session, with the rows' text. Redshift: STL_LOAD_ERRORS, blank-padded columns; only of the
-- main cluster where that is provisioned.
SELECT
    BTRIM(filename) AS file_name,
    line_number,
    BTRIM(colname) AS column_name,
    err_code AS error_code,
    BTRIM(err_reason) AS reason,
    BTRIM(raw_line) AS raw_line
FROM stl_load_errors
WHERE
    session = %s
    AND starttime >= %s
ORDER BY 1, 2, 3;
