{#- A play finds its song by exact title and artist name; of several, the nearest duration, then the lowest
    song_id. Both relations may be CTEs: plays with the natural key, song_title, artist_name and song_length;
    catalogue with song_id, artist_id, title, artist_name and duration. -#}
{% macro matched(plays, catalogue) -%}
SELECT
        start_time,
        user_id,
        session_id,
        item_in_session,
        song_id,
        artist_id
    FROM (
        SELECT
            plays.start_time,
            plays.user_id,
            plays.session_id,
            plays.item_in_session,
            catalogue.song_id,
            catalogue.artist_id,
            ROW_NUMBER() OVER (
                PARTITION BY plays.start_time, plays.user_id, plays.session_id, plays.item_in_session
                ORDER BY ABS(catalogue.duration - plays.song_length), catalogue.song_id
            ) AS closeness
        FROM {{ plays }} AS plays
        INNER JOIN {{ catalogue }} AS catalogue
            ON
                plays.song_title = catalogue.title
                AND plays.artist_name = catalogue.artist_name
    ) AS ranked
    WHERE closeness = 1
{%- endmacro %}
