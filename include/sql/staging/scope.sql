{% from 'songs/choice.sql' import version_of_catalogue -%}
{% macro in_window(table, column) -%}
(
        SELECT COUNT(*)
        FROM {{ table }}
        WHERE
            {{ column }} >= TIMESTAMP '{{ window.start_sql }}'
            AND {{ column }} < TIMESTAMP '{{ window.end_sql }}'
    )
{%- endmacro -%}
-- One row: what the run brings, and what there is of its window (`Scope`, publish.py). Songs that are left out have no
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
    {{ in_window('sparkify.songplays', 'start_time') }} AS songplays,
    {{ in_window('staging.user_observations', 'observed_at') }} AS users,
    {{ in_window('sparkify.time', 'start_time') }} AS moments,
    {{ in_window('staging.published_hours', 'hour_start') }} AS hours,
    (
        SELECT COUNT(*)
        FROM sparkify.load_history
        WHERE
            window_start >= TIMESTAMP '{{ window.start_sql }}'
            AND window_end <= TIMESTAMP '{{ window.end_sql }}'
    ) AS windows,
    {% for source in ('events', 'songs') -%}
    (
        (SELECT COUNT(*) FROM {{ work(source ~ '_rejected') }})
        + (
            SELECT COUNT(*)
            FROM sparkify.rejected_rows
            WHERE source = '{{ source }}'
        )
    ) AS rejected_{{ source }}{{ ',' if not loop.last else ';' }}
    {% endfor %}
