{#- The run's rejected rows of a source, all or those of a condition, for whoever has to fix them. -#}
{% macro rejected(source, condition='') -%}
INSERT INTO sparkify.rejected_rows (
    run_id, window_start, window_end, source, file_name, line_number, column_name, error_code, reason, raw_line,
    rejected_at, etag, hour_start, batch
)
SELECT
    {{ quote(run_id) }},
    TIMESTAMP '{{ window.start_sql }}',
    TIMESTAMP '{{ window.end_sql }}',
    '{{ source }}',
    file_name,
    line_number,
    column_name,
    error_code,
    reason,
    raw_line,
    GETDATE(),
    etag,
    hour_start,
    batch
FROM {{ work(source ~ '_rejected') }}
{%- if condition %}
WHERE {{ condition }}
{%- endif %};
{%- endmacro %}
