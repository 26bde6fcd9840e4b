{% from 'songs/choice.sql' import version_of_catalogue -%}
{% from 'reach.sql' import in_reach -%}
{% macro count_in_reach(table, column) -%}
(
        SELECT COUNT(*)
        FROM {{ table }}
        WHERE
            {{ in_reach(column, reach) | indent(8) }}
    )
{%- endmacro -%}
-- One row: what the run brings, and what there is of its hours (`Scope`, publish.py). Songs that are left out have no
-- row in songs_catalogue.
SELECT
    (SELECT COUNT(*) FROM {{ work('songs_catalogue') }}) AS with_songs,
    (SELECT MAX(CASE WHEN is_whole THEN 1 ELSE 0 END) FROM {{ work('songs_catalogue') }}) AS whole,
    (SELECT COUNT(*) FROM {{ work('songs_files') }}) AS song_files,
    (SELECT COUNT(*) FROM {{ work('songs_candidate') }}) AS songs,
    (SELECT COUNT(*) FROM staging.published_catalogue) AS catalogues,
    (SELECT COUNT(*) FROM staging.song_changes) AS song_changes,
    (
        SELECT COUNT(*)
        FROM {{ work('songplays_candidate') }}
        WHERE NVL(catalogue_version, '') <> (SELECT NVL({{ version_of_catalogue() }}, '') FROM staging.published_catalogue)
    ) AS stale_plays,
    {{ count_in_reach('sparkify.songplays', 'start_time') }} AS songplays,
    {{ count_in_reach('staging.user_observations', 'observed_at') }} AS users,
    {{ count_in_reach('sparkify.time', 'start_time') }} AS moments,
    {{ count_in_reach('staging.published_hours', 'hour_start') }} AS hours,
    (
        SELECT COUNT(*)
        FROM sparkify.load_history
        WHERE
            window_start >= TIMESTAMP '{{ window.start_sql }}'
            AND window_end <= TIMESTAMP '{{ window.end_sql }}'
    ) AS windows,
    (
        (SELECT COUNT(*) FROM {{ work('songs_rejected') }})
        + (
            SELECT COUNT(*)
            FROM sparkify.rejected_rows
            WHERE source = 'songs'
        )
    ) AS rejected_songs;
