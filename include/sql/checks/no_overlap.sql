-- Spans [from, to) of one key that begin before the one before has ended.
SELECT
    COUNT(CASE WHEN next_from < span_to THEN 1 END) AS observed,
    COUNT(*) AS rows_checked
FROM (
    SELECT
        {{ to }} AS span_to,
        LEAD({{ from }}) OVER (PARTITION BY {{ key }} ORDER BY {{ from }}, {{ to }}) AS next_from
    FROM {{ relation }}
) AS spans;
