SELECT quoted || ' in ' || CAST(COUNT(*) AS VARCHAR(20)) || ' row(s)'
FROM (
    SELECT '"' || {{ column }} || '"' AS quoted
    FROM {{ relation }}
    {%- if where %}
    WHERE {{ where }}
    {%- endif %}
) AS quoted_values
WHERE quoted NOT IN ({% for value in values %}{{ quote('"' ~ value ~ '"') }}{{ ', ' if not loop.last }}{% endfor %})
GROUP BY quoted
ORDER BY COUNT(*) DESC, quoted ASC;
