SELECT
    COUNT(CASE WHEN parents.parent_key IS NULL THEN 1 END) AS observed,
    COUNT(*) AS rows_checked
FROM (
    SELECT {{ column }} AS child_key
    FROM {{ relation }}
    WHERE {{ column }} IS NOT NULL
) AS children
LEFT JOIN (
    {%- for parent in to %}
    SELECT DISTINCT {{ to_column }} AS parent_key
    FROM {{ parent }}
    {{ 'UNION' if not loop.last }}
    {%- endfor %}
) AS parents
    ON children.child_key = parents.parent_key;
