{% from 'staging/events/columns.sql' import columns -%}
{#- The copied rows of one batch, under the landing lock. `batch`: its number. `replaced`: the batches whose place it takes,
    as a text of their numbers, or empty. `beside`: another batch that has landed in this transaction and takes part in it. `figures`: files, size_bytes and read rows of the batch. -#}
UPDATE {{ work('events_rejected') }}
SET batch = {{ batch }}
WHERE batch IS NULL;

{% if replaced -%}
-- The hours in which the files do not hold the same rows as before: whether rows were lost, and whether any came.
CREATE TEMP TABLE changed_hours
DISTSTYLE ALL
AS
SELECT
    hour_start,
    MIN(difference) AS lost,
    MAX(difference) AS gained
FROM (
    SELECT
        DATE_TRUNC('hour', ts) AS hour_start,
        SUM(side) AS difference
    FROM (
        SELECT
            {% for column in columns -%}
            {{ column }},
            {% endfor -%}
            1 AS side
        FROM {{ work('events_copied') }}
        {%- if beside %}
        UNION ALL
        SELECT
            {% for column in columns -%}
            {{ column }},
            {% endfor -%}
            1 AS side
        FROM staging.landed_events
        WHERE batch = {{ beside }}
        {%- endif %}
        UNION ALL
        SELECT
            {% for column in columns -%}
            {{ column }},
            {% endfor -%}
            -1 AS side
        FROM staging.landed_events
        WHERE batch IN ({{ replaced }})
    ) AS both_sides
    GROUP BY {{ columns | join(', ') }}
    HAVING SUM(side) <> 0
    UNION ALL
    SELECT
        hour_start,
        SUM(side) AS difference
    FROM (
        SELECT
            hour_start,
            1 AS side
        FROM {{ work('events_rejected') }}
        WHERE batch IN ({{ [batch, beside] | select | join(', ') }})
        UNION ALL
        SELECT
            hour_start,
            -rejected_rows AS side
        FROM staging.batch_hours
        WHERE batch IN ({{ replaced }})
    ) AS rejected_on_both_sides
    WHERE hour_start IS NOT NULL
    GROUP BY hour_start
    HAVING SUM(side) <> 0
) AS differences
GROUP BY hour_start;

INSERT INTO staging.retracted_hours (hour_start, version)
SELECT
    hour_start,
    {{ batch }}
FROM changed_hours
WHERE lost < 0;

{% endif -%}
INSERT INTO staging.batch_hours (batch, hour_start, events, plays, rejected_rows, since)
SELECT
    {{ batch }},
    hours.hour_start,
    hours.events,
    hours.plays,
    hours.rejected_rows,
    {% if replaced -%}
    CASE WHEN NVL(changed_hours.gained, 0) > 0 THEN {{ batch }} ELSE NVL(before.since, {{ batch }}) END
    {%- else -%}
    {{ batch }}
    {%- endif %}
FROM (
    SELECT
        hour_start,
        SUM(events) AS events,
        SUM(plays) AS plays,
        SUM(rejected_rows) AS rejected_rows
    FROM (
        SELECT
            DATE_TRUNC('hour', ts) AS hour_start,
            COUNT(*) AS events,
            COUNT(CASE WHEN page = 'NextSong' THEN 1 END) AS plays,
            0 AS rejected_rows
        FROM {{ work('events_copied') }}
        GROUP BY DATE_TRUNC('hour', ts)
        UNION ALL
        SELECT
            hour_start,
            0 AS events,
            0 AS plays,
            COUNT(*) AS rejected_rows
        FROM {{ work('events_rejected') }}
        WHERE
            batch = {{ batch }}
            AND hour_start IS NOT NULL
        GROUP BY hour_start
    ) AS counted
    GROUP BY hour_start
) AS hours
{%- if replaced %}
LEFT JOIN (
    SELECT
        hour_start,
        MAX(since) AS since
    FROM staging.batch_hours
    WHERE batch IN ({{ replaced }})
    GROUP BY hour_start
) AS before
    ON hours.hour_start = before.hour_start
LEFT JOIN changed_hours
    ON hours.hour_start = changed_hours.hour_start
{%- endif %};

{% if replaced -%}
{% if beside -%}
UPDATE staging.batch_hours
SET since = before.since
FROM (
    SELECT
        known.hour_start,
        MAX(known.since) AS since
    FROM staging.batch_hours AS known
    LEFT JOIN changed_hours
        ON
            known.hour_start = changed_hours.hour_start
            AND changed_hours.gained > 0
    WHERE
        known.batch IN ({{ replaced }})
        AND changed_hours.hour_start IS NULL
    GROUP BY known.hour_start
) AS before
WHERE
    batch_hours.batch = {{ beside }}
    AND batch_hours.hour_start = before.hour_start;

{% endif -%}
DROP TABLE changed_hours;

DELETE FROM staging.landed_events
WHERE batch IN ({{ replaced }});

DELETE FROM staging.batch_hours
WHERE batch IN ({{ replaced }});

UPDATE staging.batches
SET is_live = FALSE
WHERE batch IN ({{ replaced }});

DELETE FROM staging.landed_files
WHERE batch IN ({{ replaced }});

DELETE FROM sparkify.rejected_rows
WHERE
    source = 'events'
    AND batch IN ({{ replaced }});

{% endif -%}
INSERT INTO staging.landed_events ({{ columns | join(', ') }}, batch)
SELECT
    {% for column in columns -%}
    {{ column }},
    {% endfor -%}
    {{ batch }}
FROM {{ work('events_copied') }};

INSERT INTO staging.batches (batch, run_id, files, size_bytes, read_rows, rejected_rows, landed_at, is_live, is_purged)
SELECT
    {{ batch }},
    {{ quote(run_id) }},
    {{ figures.files }},
    {{ figures.size_bytes }},
    {{ figures.read }},
    COUNT(*),
    GETDATE(),
    TRUE,
    FALSE
FROM {{ work('events_rejected') }}
WHERE batch = {{ batch }};

-- As far as runs that failed, or an earlier version, found them in these files.
DELETE FROM sparkify.rejected_rows
WHERE
    source = 'events'
    AND batch IS NULL
    AND (
        run_id = {{ quote(run_id) }}
        OR (
            (file_name IS NULL OR file_name LIKE '%…')
            AND window_start >= TIMESTAMP '{{ window.days_start_sql }}'
            AND window_end <= TIMESTAMP '{{ window.days_end_sql }}'
        )
        OR file_name IN (
            SELECT {{ quote('s3://' ~ stage.s3_bucket ~ '/') }} || object_key
            FROM {{ work('events_landing') }}
        )
    );

{% from 'rejected_rows/kept.sql' import rejected with context -%}
{{ rejected('events', batch=batch) }}

-- Files that an earlier version knew without their rows, or that were written anew.
DELETE FROM staging.landed_files
USING {{ work('events_landing') }} AS files
WHERE
    landed_files.bucket = {{ quote(stage.s3_bucket) }}
    AND landed_files.object_key = files.object_key;

-- Of a file whose name Redshift has cut, the rejected rows count for each file that it may be.
INSERT INTO staging.landed_files (
    bucket, object_key, etag, size_bytes, last_modified, listed_at, rejected_rows, partition_start, partition_end, batch
)
SELECT
    {{ quote(stage.s3_bucket) }},
    files.object_key,
    files.etag,
    files.size_bytes,
    files.last_modified,
    files.listed_at,
    NVL(SUM(rejected.row_count), 0),
    files.partition_start,
    files.partition_end,
    {{ batch }}
FROM {{ work('events_landing') }} AS files
LEFT JOIN (
    SELECT
        object_key,
        COUNT(*) AS row_count
    FROM {{ work('events_rejected') }}
    WHERE
        batch = {{ batch }}
        AND hour_start IS NULL
    GROUP BY object_key
) AS rejected
    ON LEFT(files.object_key, LEN(rejected.object_key)) = rejected.object_key
GROUP BY
    files.object_key,
    files.etag,
    files.size_bytes,
    files.last_modified,
    files.listed_at,
    files.partition_start,
    files.partition_end;

DROP TABLE
    {{ work('events_copied') }},
    {{ work('events_landing') }};
