-- With a point behind it, a value counts with the blanks at its end, which Redshift would not compare.
SELECT
    COUNT(CASE WHEN {{ column }} || '.' NOT IN ({% for value in values %}{{ quote(value ~ '.') }}{{ ', ' if not loop.last }}{% endfor %}) THEN 1 END) AS observed,
    COUNT(*) AS rows_checked
FROM {{ relation }};
