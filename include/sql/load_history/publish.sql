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
    published_at
)
WITH staged AS (
    SELECT
        page,
        user_id,
        CASE
            WHEN
                ts >= TIMESTAMP '{{ window.start_sql }}'
                AND ts < TIMESTAMP '{{ window.end_sql }}'
                THEN 1
            ELSE 0
        END AS is_in_window
    FROM {{ work('events') }}
),

events AS (
    SELECT
        COUNT(*) AS staged,
        NVL(SUM(is_in_window), 0) AS in_window,
        NVL(SUM(CASE WHEN is_in_window = 1 AND page = 'NextSong' THEN 1 ELSE 0 END), 0) AS plays,
        COUNT(DISTINCT CASE WHEN is_in_window = 1 THEN user_id END) AS users
    FROM staged
),

counts AS (
    SELECT
        (SELECT COUNT(*) FROM {{ work('events_rejected') }}) AS rejected_events,
        (SELECT COUNT(*) FROM {{ work('songplays_candidate') }}) AS songplays
)

SELECT
    TIMESTAMP '{{ window.start_sql }}',
    TIMESTAMP '{{ window.end_sql }}',
    {{ quote(run_id) }},
    (SELECT COUNT(DISTINCT object_key) FROM {{ work('events_files') }}),
    (SELECT COUNT(*) FROM {{ work('songs_files') }}),
    events.staged + counts.rejected_events,
    events.in_window,
    events.staged - events.in_window,
    counts.songplays,
    events.plays - counts.songplays,
    events.in_window - events.plays,
    counts.rejected_events,
    (SELECT COUNT(*) FROM {{ work('songs_rejected') }}),
    events.users,
    (SELECT COUNT(*) FROM {{ work('songs_candidate') }}),
    (SELECT COUNT(DISTINCT artist_id) FROM {{ work('artists_candidate') }}),
    (SELECT COUNT(*) FROM {{ work('time_candidate') }}),
    GETDATE()
FROM events
CROSS JOIN counts;
