SELECT
    NVL(SUM(occurrences - 1), 0) AS observed,
    NVL(SUM(occurrences), 0) AS rows_checked
FROM (
    SELECT COUNT(*) AS occurrences
    FROM {{ relation }}
    GROUP BY {{ columns | join(', ') }}
) AS keys_of_rows;
