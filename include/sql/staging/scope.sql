{% from 'songs/choice.sql' import version_of_catalogue -%}
-- One row: what the run brings, and what there is of its window. Songs that are left out have no row in songs_catalogue.
SELECT
    (SELECT COUNT(*) FROM {{ work('songs_catalogue') }}) AS with_songs,
    (SELECT MAX(CASE WHEN is_whole THEN 1 ELSE 0 END) FROM {{ work('songs_catalogue') }}) AS whole,
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
    ) AS moments;
