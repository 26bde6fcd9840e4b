{#- What a run could not load takes the place of what is kept for the same files. `is_final`: the run publishes its songs,
    so it has read their files to their end; before that, only the rows that it found again are replaced, because a COPY
    that failed may have met only some of them; those of files that have landed stay. A row of a file that cannot be told
    is of one of the days of its window, and so found again, or not, by a run that reads all of these. `sources`: those of
    which rows were or are rejected. -#}
{% from 'rejected_rows/kept.sql' import rejected, same_row with context -%}
{% for source in sources -%}
DELETE FROM sparkify.rejected_rows
{% if not is_final -%}
USING {{ work(source ~ '_rejected') }} AS found
WHERE
    rejected_rows.source = '{{ source }}'
    AND rejected_rows.batch IS NULL
    {{ same_row('rejected_rows', 'found') }}
    {%- if source != 'songs' %}
    AND (
        found.file_name IS NOT NULL
        OR found.raw_line IS NOT NULL
        OR (
            rejected_rows.window_start >= TIMESTAMP '{{ window.days_start_sql }}'
            AND rejected_rows.window_end <= TIMESTAMP '{{ window.days_end_sql }}'
        )
    )
    {%- endif %}
{%- else -%}
WHERE source = '{{ source }}'
{%- endif %};

{{ rejected(source) }}
{% endfor %}
