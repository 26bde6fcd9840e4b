SELECT
    COUNT(*) AS observed,
    1 AS rows_checked
FROM {{ relation }};
