{#- Plays with the song that each of them finds: by exact title and artist name, but for blanks around them; of
    several, the nearest duration, then the lowest song_id. A play that finds none has NULLs. Both relations may be
    CTEs: plays with the key, the columns to keep, song_title, artist_name and song_length; catalogue with song_id,
    artist_id, title, artist_name and duration. -#}
{% macro matched(plays, key, columns, catalogue) -%}
SELECT
    {% for column in columns -%}
    {{ column }},
    {% endfor -%}
    song_id,
    artist_id
FROM (
    SELECT
        {% for column in columns -%}
        plays.{{ column }},
        {% endfor -%}
        catalogue.song_id,
        catalogue.artist_id,
        ROW_NUMBER() OVER (
            PARTITION BY {% for column in key %}plays.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
            ORDER BY
                ABS(catalogue.duration - plays.song_length) ASC NULLS LAST,
                catalogue.song_id ASC NULLS LAST,
                catalogue.artist_id ASC NULLS LAST
        ) AS closeness
    FROM {{ plays }} AS plays
    LEFT JOIN {{ catalogue }} AS catalogue
        ON
            TRIM(plays.song_title) = TRIM(catalogue.title)
            AND TRIM(plays.artist_name) = TRIM(catalogue.artist_name)
) AS ranked
WHERE closeness = 1
{%- endmacro %}
