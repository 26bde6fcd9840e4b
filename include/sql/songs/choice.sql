{#- What one file says of each song. Should two files hold one song_id, the choice between them is a rule and not
    chance. -#}
{% macro choice(files) -%}
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
            ORDER BY title, artist_id, artist_name, duration, year, artist_location, artist_latitude, artist_longitude
        ) AS occurrence
    FROM {{ files }}
    WHERE song_id IS NOT NULL
) AS occurrences
WHERE occurrence = 1
{%- endmacro %}
