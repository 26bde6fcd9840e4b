-- Hours between the latest row and the end of the window.
SELECT
    DATEDIFF(HOUR, MAX({{ column }}), TIMESTAMP '{{ window.end_sql }}') AS observed,
    COUNT({{ column }}) AS rows_checked
FROM {{ relation }};
