{#- Several checks as one statement: for each a row of its number, what it observed and the rows looked at. Those that
    count rows of one relation share one scan of it. scans: relation to the checks of it, by number; queries: the
    others' own queries, by number. -#}
{% set union = joiner('\nUNION ALL\n') -%}
{% for relation, checks in scans.items() -%}
{{ union() -}}
SELECT
    numbers.n,
    CAST(
        CASE numbers.n
            {%- for n in checks %}
            WHEN {{ n }} THEN counted.observed_{{ n }}
            {%- endfor %}
        END AS DOUBLE PRECISION
    ) AS observed,
    CASE numbers.n
        {%- for n in checks %}
        WHEN {{ n }} THEN counted.rows_checked_{{ n }}
        {%- endfor %}
    END AS rows_checked
FROM (
    SELECT
        {%- for n, check in checks.items() %}
        COUNT(CASE WHEN {{ '(' ~ check.where ~ ') AND ' if check.where }}({{ check.condition }}) THEN 1 END) AS observed_{{ n }},
        COUNT({{ 'CASE WHEN ' ~ check.where ~ ' THEN 1 END' if check.where else '*' }}) AS rows_checked_{{ n }}{{ ',' if not loop.last }}
        {%- endfor %}
    FROM {{ relation | indent }}
) AS counted
CROSS JOIN (
    {%- for n in checks %}
    SELECT {{ n }} AS n
    {%- if not loop.last %}
    UNION ALL
    {%- endif %}
    {%- endfor %}
) AS numbers
{%- endfor %}
{%- for n, query in queries.items() %}
{{- union() -}}
SELECT
    {{ n }} AS n,
    CAST(own.observed AS DOUBLE PRECISION) AS observed,
    CAST(own.rows_checked AS BIGINT) AS rows_checked
FROM (
    {{ query | indent }}
) AS own (observed, rows_checked)
{%- endfor %};
