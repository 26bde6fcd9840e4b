{#- By hour, the versions with which rows came or went. -#}
{% macro changes() -%}
SELECT
    hour_start,
    since AS version
FROM staging.batch_hours
UNION ALL
SELECT
    hour_start,
    version
FROM staging.retracted_hours
{%- endmacro %}
