SELECT
    COUNT({{ column }}) AS observed,
    COUNT(*) AS rows_checked
FROM {{ relation }};
