{% from 'staging/changes.sql' import changes -%}
{#- `layout`: of the log files. `start`, `end`: the hours that are looked at; `partitions_start`, `partitions_end`: the
    partitions, by their start. `silence`: `awaited` or `complete`. -#}
{% macro later_partition() -%}
(
            SELECT MAX(partition_start)
            FROM staging.landed_files
            WHERE
                {{ of_partitions() | indent(4) }}
        )
{%- endmacro -%}
{% macro of_partitions() -%}
bucket = {{ quote(bucket) }}
            AND partition_start >= TIMESTAMP '{{ partitions_start }}'
            AND partition_start < TIMESTAMP '{{ partitions_end }}'
{%- endmacro -%}
-- Certifies published hours whose files have come: their partition has a file, which is complete for the hour where it is
-- of the hour alone, where it was written after the hour, or where later files have followed; and the hour is derived from
-- all that has landed of it.
UPDATE staging.published_hours
SET is_certified = TRUE
FROM (
    SELECT hours.hour_start
    FROM (
        SELECT
            hour_start,
            version,
            DATE_TRUNC('{{ layout.unit }}', hour_start) AS partition_start
        FROM staging.published_hours
        WHERE
            NOT is_certified
            AND hour_start >= TIMESTAMP '{{ start }}'
            AND hour_start < TIMESTAMP '{{ end }}'
    ) AS hours
    LEFT JOIN (
        SELECT
            partition_start,
            MAX(last_modified) AS last_modified
        FROM staging.landed_files
        WHERE
            {{ of_partitions() }}
        GROUP BY partition_start
    ) AS files
        ON hours.partition_start = files.partition_start
    LEFT JOIN (
        SELECT
            hour_start,
            MAX(version) AS version
        FROM (
            {{ changes() | indent(12) }}
        ) AS changes
        WHERE
            hour_start >= TIMESTAMP '{{ start }}'
            AND hour_start < TIMESTAMP '{{ end }}'
        GROUP BY hour_start
    ) AS changed
        ON hours.hour_start = changed.hour_start
    WHERE
        NVL(changed.version, 0) <= hours.version
        AND (
            {% if silence == 'complete' -%}
            hours.partition_start < {{ later_partition() | indent(4) }}
            OR {% endif -%}
            {% if layout.unit == 'hour' -%}
            files.partition_start IS NOT NULL
            {%- else -%}
            files.last_modified >= DATEADD(HOUR, 1, hours.hour_start)
            {%- if silence != 'complete' %}
            OR (
                files.partition_start IS NOT NULL
                AND hours.partition_start < {{ later_partition() | indent(8) }}
            )
            {%- endif %}
            {%- endif %}
        )
) AS come
WHERE published_hours.hour_start = come.hour_start;
