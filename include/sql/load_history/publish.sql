DELETE FROM sparkify.load_history
WHERE
    window_start >= TIMESTAMP '{{ window.start_sql }}'
    AND window_end <= TIMESTAMP '{{ window.end_sql }}';

INSERT INTO sparkify.load_history (
    window_start, window_end, run_id, log_files, song_files, events_staged, events_in_window,
    songplays, other_pages, rejected_rows, users, songs, artists, time_rows, published_at
)
WITH in_window AS (
    SELECT
        COUNT(*) AS events,
        NVL(SUM(CASE WHEN page = 'NextSong' THEN 0 ELSE 1 END), 0) AS other_pages,
        COUNT(DISTINCT user_id) AS users
    FROM {{ work('events') }}
    WHERE
        ts >= TIMESTAMP '{{ window.start_sql }}'
        AND ts < TIMESTAMP '{{ window.end_sql }}'
)

SELECT
    TIMESTAMP '{{ window.start_sql }}',
    TIMESTAMP '{{ window.end_sql }}',
    {{ quote(run_id) }},
    (SELECT COUNT(DISTINCT object_key) FROM {{ work('events_files') }}),
    (SELECT COUNT(*) FROM {{ work('songs_files') }}),
    (SELECT COUNT(*) FROM {{ work('events') }}),
    in_window.events,
    (SELECT COUNT(*) FROM {{ work('songplays_candidate') }}),
    in_window.other_pages,
    0,
    in_window.users,
    (SELECT COUNT(*) FROM {{ work('songs_candidate') }}),
    (SELECT COUNT(DISTINCT artist_id) FROM {{ work('artists_candidate') }}),
    (SELECT COUNT(*) FROM {{ work('time_candidate') }}),
    GETDATE()
FROM in_window;
