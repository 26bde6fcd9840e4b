{#- What a run could not load takes the place of what is kept for the same files and hours. `is_final`: the run publishes
    its window, so it has read its files to their end; before that, only the rows that it found again are replaced,
    because a COPY that failed may have met only some of them. A row of a file that cannot be told is of one of the days
    of its window, and so found again, or not, by a run that reads all of these. `sources`: those of which rows were or
    are rejected. -#}
{% set of_these_days -%}
window_start >= TIMESTAMP '{{ window.days_start_sql }}'
            AND window_end <= TIMESTAMP '{{ window.days_end_sql }}'
{%- endset -%}
{% for source in sources -%}
DELETE FROM sparkify.rejected_rows
{% if not is_final -%}
USING {{ work(source ~ '_rejected') }} AS found
WHERE
    rejected_rows.source = '{{ source }}'
    AND NVL(rejected_rows.file_name, '') = NVL(found.file_name, '')
    AND NVL(rejected_rows.line_number, -1) = NVL(found.line_number, -1)
    AND NVL(rejected_rows.column_name, '') = NVL(found.column_name, '')
    AND NVL(rejected_rows.raw_line, '') = NVL(found.raw_line, '')
    AND rejected_rows.reason = found.reason
    {%- if source != 'songs' %}
    AND (
        found.file_name IS NOT NULL
        OR found.raw_line IS NOT NULL
        OR (
            {{ of_these_days }}
        )
    )
    {%- endif %}
{%- elif source == 'songs' -%}
WHERE source = 'songs'
{%- else -%}
WHERE
    source = '{{ source }}'
    AND (
        (
            window_start >= TIMESTAMP '{{ window.start_sql }}'
            AND window_end <= TIMESTAMP '{{ window.end_sql }}'
        )
        OR (
            hour_start >= TIMESTAMP '{{ window.start_sql }}'
            AND hour_start < TIMESTAMP '{{ window.end_sql }}'
        )
        OR (
            hour_start IS NULL
            AND file_name IN (
                SELECT {{ quote('s3://' ~ bucket ~ '/') }} || object_key
                FROM {{ work(source ~ '_files') }}
            )
        )
        OR (
            hour_start IS NULL
            AND (file_name IS NULL OR file_name LIKE '%…')
            AND {{ of_these_days }}
        )
    )
{%- endif %};

INSERT INTO sparkify.rejected_rows (
    run_id, window_start, window_end, source, file_name, line_number, column_name, error_code, reason, raw_line,
    rejected_at, etag, hour_start
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
    hour_start
FROM {{ work(source ~ '_rejected') }};
{% endfor %}
