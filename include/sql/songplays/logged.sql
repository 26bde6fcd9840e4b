{% from 'text.sql' import text, title -%}
{#- The plays of a run as its events have them. Several events may have one natural key: `occurrence` numbers
    them, `version` those that differ. The first is the play: paid before free, then the first in the order of all
    other columns, NULL behind every value. -#}
{% macro logged_plays(events) -%}
{% set order -%}
PARTITION BY start_time, user_id, session_id, item_in_session
        ORDER BY
            level DESC NULLS LAST,
            song_title ASC NULLS LAST,
            artist_name ASC NULLS LAST,
            song_length ASC NULLS LAST,
            location ASC NULLS LAST,
            user_agent ASC NULLS LAST
{%- endset -%}
SELECT
    start_time,
    user_id,
    level,
    session_id,
    item_in_session,
    location,
    user_agent,
    song_title,
    artist_name,
    song_length,
    ROW_NUMBER() OVER (
        {{ order }}
    ) AS occurrence,
    DENSE_RANK() OVER (
        {{ order }}
    ) AS version
FROM (
    SELECT
        ts AS start_time,
        user_id,
        level,
        session_id,
        item_in_session,
        {{ text('location') }} AS location,
        {{ text('user_agent') }} AS user_agent,
        {{ title('song') }} AS song_title,
        {{ text('artist') }} AS artist_name,
        length AS song_length
    FROM {{ events }}
    WHERE
        page = 'NextSong'
        AND user_id IS NOT NULL
        AND session_id IS NOT NULL
        AND item_in_session IS NOT NULL
) AS play_events
{%- endmacro %}
