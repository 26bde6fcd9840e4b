{#- Whether a moment is within the hours that a run derives, or in those between: as literals, so that Redshift skips the
    blocks of other hours. `reach`: `ranges`, half-open and ascending, and from the first to the last start_sql and end_sql. -#}
{% macro in_reach(column, reach) -%}
{{ column }} >= TIMESTAMP '{{ reach.start_sql }}'
    AND {{ column }} < TIMESTAMP '{{ reach.end_sql }}'
    {%- if reach.ranges | length > 1 %}
    AND (
        {% for start, end in reach.ranges -%}
        ({{ column }} >= TIMESTAMP '{{ start }}' AND {{ column }} < TIMESTAMP '{{ end }}')
        {%- if not loop.last %}
        OR {% endif %}
        {%- endfor %}
    )
    {%- endif %}
{%- endmacro %}

{#- Whether a moment is within the run's window, where the hours are that it derives wholly: those beside it lose no rows. -#}
{% macro in_window(column, window) -%}
{{ column }} >= TIMESTAMP '{{ window.start_sql }}'
    AND {{ column }} < TIMESTAMP '{{ window.end_sql }}'
{%- endmacro %}

{#- Whether an hour may be one of some hours, a table: from the first of them to the last, so that no other blocks are read
    of a table with a row an hour. -#}
{% macro among(column, hours) -%}
{{ column }} >= (SELECT MIN(hour_start) FROM {{ hours }})
    AND {{ column }} <= (SELECT MAX(hour_start) FROM {{ hours }})
{%- endmacro %}
