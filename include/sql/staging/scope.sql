{% from 'songs/choice.sql' import version_of_catalogue -%}
-- One row: what the run brings, and what there is of its window (`Scope`, publish.py). Songs that are left out have no
-- row in songs_catalogue.
SELECT
    (SELECT COUNT(*) FROM {{ work('songs_catalogue') }}) AS with_songs,
    (SELECT MAX(CASE WHEN is_whole THEN 1 ELSE 0 END) FROM {{ work('songs_catalogue') }}) AS whole,
    (SELECT COUNT(*) FROM {{ work('songs_files') }}) AS song_files,
    (SELECT COUNT(*) FROM {{ work('songs_candidate') }}) AS songs,
    (SELECT COUNT(*) FROM staging.published_catalogue) AS catalogues,
    (
        SELECT COUNT(*)
        FROM {{ work('songplays_candidate') }}
        WHERE NVL(catalogue_version, '') <> (SELECT NVL({{ version_of_catalogue() }}, '') FROM staging.published_catalogue)
    ) AS stale_plays,
    (
        SELECT COUNT(*)
        FROM sparkify.songplays
        WHERE
            start_time >= TIMESTAMP '{{ window.start_sql }}'
            AND start_time < TIMESTAMP '{{ window.end_sql }}'
    ) AS songplays,
    (
        SELECT COUNT(*)
        FROM staging.user_observations
        WHERE
            observed_at >= TIMESTAMP '{{ window.start_sql }}'
            AND observed_at < TIMESTAMP '{{ window.end_sql }}'
    ) AS users,
    (
        SELECT COUNT(*)
        FROM sparkify.time
        WHERE
            start_time >= TIMESTAMP '{{ window.start_sql }}'
            AND start_time < TIMESTAMP '{{ window.end_sql }}'
    ) AS moments,
    (
        SELECT COUNT(*)
        FROM staging.published_hours
        WHERE
            hour_start >= TIMESTAMP '{{ window.start_sql }}'
            AND hour_start < TIMESTAMP '{{ window.end_sql }}'
    ) AS hours,
    (
        SELECT COUNT(*)
        FROM sparkify.load_history
        WHERE
            window_start >= TIMESTAMP '{{ window.start_sql }}'
            AND window_end <= TIMESTAMP '{{ window.end_sql }}'
    ) AS windows,
    (
        (SELECT COUNT(*) FROM {{ work('events_rejected') }})
        + (
            SELECT COUNT(*)
            FROM sparkify.rejected_rows
            WHERE source = 'events'
        )
    ) AS rejected_events,
    (
        (SELECT COUNT(*) FROM {{ work('songs_rejected') }})
        + (
            SELECT COUNT(*)
            FROM sparkify.rejected_rows
            WHERE source = 'songs'
        )
    ) AS rejected_songs;
