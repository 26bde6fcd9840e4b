SELECT
    COUNT(CASE WHEN {{ columns | join(' IS NULL OR ') }} IS NULL THEN 1 END) AS observed,
    COUNT(*) AS rows_checked
FROM {{ relation }};
