{#- What the song files say of each staged song. Where several hold one song_id, the same one is chosen whichever run
    staged which: unless the run stages all files, what was published of these songs is a candidate too. `catalogue`:
    the run's work table songs_catalogue. -#}
{% from 'text.sql' import text, title -%}
{% macro choice(files, catalogue) -%}
SELECT
    song_id,
    title,
    artist_id,
    year,
    duration,
    artist_name,
    artist_location,
    artist_latitude,
    artist_longitude
FROM (
    SELECT
        *,
        ROW_NUMBER() OVER (
            PARTITION BY song_id
            ORDER BY
                title ASC NULLS LAST, LEN(title) ASC NULLS LAST, artist_id ASC NULLS LAST, artist_name ASC NULLS LAST,
                duration ASC NULLS LAST, year ASC NULLS LAST, artist_location ASC NULLS LAST,
                artist_latitude ASC NULLS LAST, artist_longitude ASC NULLS LAST
        ) AS occurrence
    FROM (
        SELECT
            song_id,
            {{ title('title') }} AS title,
            {{ text('artist_id') }} AS artist_id,
            year,
            duration,
            {{ text('artist_name') }} AS artist_name,
            {{ text('artist_location') }} AS artist_location,
            artist_latitude,
            artist_longitude
        FROM {{ files }}
        UNION ALL
        SELECT
            songs.song_id,
            songs.title,
            songs.artist_id,
            songs.year,
            songs.duration,
            artists.artist_name,
            artists.artist_location,
            artists.artist_latitude,
            artists.artist_longitude
        FROM staging.song_observations AS songs
        INNER JOIN staging.artist_observations AS artists
            ON songs.song_id = artists.song_id
        INNER JOIN (
            SELECT DISTINCT song_id
            FROM {{ files }}
        ) AS staged
            ON songs.song_id = staged.song_id
        CROSS JOIN {{ catalogue }} AS catalogue
        WHERE NOT catalogue.is_whole
    ) AS stated
) AS occurrences
WHERE occurrence = 1
{%- endmacro %}
