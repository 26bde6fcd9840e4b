{#- Whether two rejected rows are the same. -#}
{% macro same_row(one, other) -%}
AND NVL({{ one }}.file_name, '') = NVL({{ other }}.file_name, '')
    AND NVL({{ one }}.line_number, -1) = NVL({{ other }}.line_number, -1)
    AND NVL({{ one }}.column_name, '') = NVL({{ other }}.column_name, '')
    AND NVL({{ one }}.raw_line, '') = NVL({{ other }}.raw_line, '')
    AND {{ one }}.reason = {{ other }}.reason
{%- endmacro %}

{#- The run's rejected rows of a source, for whoever has to fix them: those of a `batch` of files, or of files that did not
    land in one. -#}
{% macro rejected(source, batch=none) -%}
INSERT INTO sparkify.rejected_rows (
    run_id, window_start, window_end, source, file_name, line_number, column_name, error_code, reason, raw_line,
    rejected_at, etag, hour_start, batch
)
SELECT
    {{ quote(run_id) }},
    TIMESTAMP '{{ window.start_sql }}',
    TIMESTAMP '{{ window.end_sql }}',
    '{{ source }}',
    found.file_name,
    found.line_number,
    found.column_name,
    found.error_code,
    found.reason,
    found.raw_line,
    GETDATE(),
    found.etag,
    found.hour_start,
    found.batch
FROM {{ work(source ~ '_rejected') }} AS found
WHERE found.batch {{ '= ' ~ batch if batch else 'IS NULL' }};
{%- endmacro %}
