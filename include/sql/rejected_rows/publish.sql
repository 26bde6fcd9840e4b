-- The rejected rows of this run take the place of those that were kept for its window.
{% for source in sources -%}
DELETE FROM sparkify.rejected_rows
WHERE
    source = '{{ source }}'
    AND window_start >= TIMESTAMP '{{ window.start_sql }}'
    AND window_end <= TIMESTAMP '{{ window.end_sql }}';

INSERT INTO sparkify.rejected_rows (
    run_id, window_start, window_end, source, file_name, line_number, column_name, error_code, reason, raw_line,
    rejected_at
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
    GETDATE()
FROM {{ work(source ~ '_rejected') }};
{% endfor %}
