{% from 'reach.sql' import in_window -%}
{#- `windows`: how many published windows the run's own takes the place of. -#}
{% if windows -%}
DELETE FROM sparkify.load_history
WHERE
    window_start >= TIMESTAMP '{{ window.start_sql }}'
    AND window_end <= TIMESTAMP '{{ window.end_sql }}';

{% endif -%}
INSERT INTO sparkify.load_history (
    window_start, window_end, run_id, log_files, song_files, events_staged, events_in_window, events_outside,
    songplays, duplicate_plays, other_pages, rejected_events, rejected_songs, users, songs, artists, time_rows,
    published_at, landed_before
)
WITH hours AS (
    SELECT
        NVL(SUM(songplays), 0) AS songplays,
        NVL(SUM(duplicate_plays), 0) AS duplicate_plays,
        NVL(SUM(other_pages), 0) AS other_pages,
        NVL(SUM(rejected_rows), 0) AS rejected_rows
    FROM staging.published_hours
    WHERE
        {{ in_window('hour_start', window) | indent }}
),

batches AS (
    SELECT
        NVL(SUM(read_rows), 0) AS read_rows,
        NVL(SUM(rejected_rows), 0) AS rejected_rows
    FROM staging.batches
    WHERE
        run_id = {{ quote(run_id) }}
        AND is_live
),

-- What the run itself has landed, in its window and outside of it.
landed AS (
    SELECT
        NVL(SUM(CASE WHEN {{ in_window('batch_hours.hour_start', window) | indent(8) }} THEN batch_hours.events END), 0) AS in_window,
        NVL(SUM(CASE WHEN {{ in_window('batch_hours.hour_start', window) | indent(8) }} THEN batch_hours.rejected_rows END), 0)
            AS rejected_in_window,
        NVL(SUM(batch_hours.events), 0) AS events
    FROM staging.batches AS batches
    INNER JOIN staging.batch_hours AS batch_hours
        ON batches.batch = batch_hours.batch
    WHERE
        batches.run_id = {{ quote(run_id) }}
        AND batches.is_live
),

rows_of_run AS (
    SELECT
        (
            SELECT COUNT(DISTINCT user_id)
            FROM {{ work('events') }}
            WHERE
                {{ in_window('ts', window) | indent(8) }}
        ) AS users,
        (
            SELECT COUNT(*)
            FROM {{ work('time_candidate') }}
            WHERE
                {{ in_window('start_time', window) | indent(8) }}
        ) AS moments
)

SELECT
    TIMESTAMP '{{ window.start_sql }}',
    TIMESTAMP '{{ window.end_sql }}',
    {{ quote(run_id) }},
    (
        SELECT COUNT(*)
        FROM {{ work('events_files') }}
        WHERE
            partition_start < TIMESTAMP '{{ window.end_sql }}'
            AND partition_end > TIMESTAMP '{{ window.start_sql }}'
    ),
    (SELECT COUNT(*) FROM {{ work('songs_files') }}),
    batches.read_rows,
    hours.songplays + hours.duplicate_plays + hours.other_pages,
    landed.events - landed.in_window,
    hours.songplays,
    hours.duplicate_plays,
    hours.other_pages,
    batches.rejected_rows + hours.rejected_rows - landed.rejected_in_window,
    (SELECT COUNT(*) FROM {{ work('songs_rejected') }}),
    rows_of_run.users,
    (SELECT COUNT(*) FROM {{ work('songs_candidate') }}),
    (SELECT COUNT(DISTINCT artist_id) FROM {{ work('artists_candidate') }}),
    rows_of_run.moments,
    GETDATE(),
    hours.songplays + hours.duplicate_plays + hours.other_pages - landed.in_window
    + hours.rejected_rows - landed.rejected_in_window
FROM hours
CROSS JOIN batches
CROSS JOIN landed
CROSS JOIN rows_of_run;
