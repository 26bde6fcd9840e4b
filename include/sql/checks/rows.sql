SELECT
    COUNT(CASE WHEN {{ condition }} THEN 1 END) AS observed,
    COUNT(*) AS rows_checked
FROM {{ relation }}
{%- if where %}
WHERE {{ where }}
{%- endif %};
