{#- What a run could not load takes the place of what is kept for the same files. `is_final`: the run publishes its songs,
    so it has read their files to their end; before that, only the rows that it found again are replaced, because a COPY
    that failed may have met only some of them. `sources`: those of which rows were or are rejected. -#}
{% from 'rejected_rows/kept.sql' import rejected with context -%}
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
{%- else -%}
WHERE source = '{{ source }}'
{%- endif %};

{{ rejected(source) }}
{% endfor %}
