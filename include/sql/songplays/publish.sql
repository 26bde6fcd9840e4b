{% from 'reach.sql' import in_reach, in_window -%}
{% from 'songplays/match.sql' import matched -%}
{% from 'songplays/titles.sql' import new_titles -%}
{% from 'text.sql' import differs -%}
{% set columns = [
    'start_time', 'user_id', 'level', 'song_id', 'artist_id', 'session_id', 'item_in_session', 'location',
    'user_agent', 'song_title', 'artist_name', 'song_length',
] -%}
{#- `reach`: the hours that the run derives. `published`: whether these hold plays already. `again`: the plays whose songs are
    looked up again, `what` of them: those called like one of the changed `titles` (and, where `is_stale`, those of the run's
    hours), those of the `hours`, `all`, or none; and in which hours they are, `reach`. -#}
-- The plays of the window replace those that were published for it, and those that come late join the others of their
-- hours. A play whose natural key stays keeps its songplay_id; only a play that is no longer in the files goes.
{% if published -%}
DELETE FROM sparkify.songplays
USING {{ work('events_hours') }} AS hours
WHERE
    hours.hour_start = DATE_TRUNC('hour', songplays.start_time)
    AND hours.is_whole
    AND {{ in_window('songplays.start_time', window) }}
    AND NOT EXISTS (
        SELECT 1
        FROM {{ candidate }} AS plays
        WHERE
            plays.start_time = songplays.start_time
            AND plays.user_id = songplays.user_id
            AND plays.session_id = songplays.session_id
            AND plays.item_in_session = songplays.item_in_session
    );

UPDATE sparkify.songplays
SET
    level = plays.level,
    song_id = plays.song_id,
    artist_id = plays.artist_id,
    location = plays.location,
    user_agent = plays.user_agent,
    song_title = plays.song_title,
    artist_name = plays.artist_name,
    song_length = plays.song_length
FROM {{ candidate }} AS plays
WHERE
    {{ in_reach('songplays.start_time', reach) }}
    AND songplays.start_time = plays.start_time
    AND songplays.user_id = plays.user_id
    AND songplays.session_id = plays.session_id
    AND songplays.item_in_session = plays.item_in_session
    AND (
        {% for column in ('level', 'song_id', 'artist_id', 'location', 'user_agent', 'song_title', 'artist_name',
                          'song_length') -%}
        {{ differs('songplays.' ~ column, 'plays.' ~ column) }}
        {%- if not loop.last %}
        OR {% endif %}
        {%- endfor %}
    );

{% endif -%}
INSERT INTO sparkify.songplays ({{ columns | join(', ') }})
SELECT
    {% for column in columns -%}
    plays.{{ column }}{{ ',' if not loop.last }}
    {% endfor -%}
FROM {{ candidate }} AS plays
{%- if published %}
LEFT JOIN sparkify.songplays AS songplays
    ON
        plays.start_time = songplays.start_time
        AND plays.user_id = songplays.user_id
        AND plays.session_id = songplays.session_id
        AND plays.item_in_session = songplays.item_in_session
        AND {{ in_reach('songplays.start_time', reach) | indent }}
WHERE songplays.songplay_id IS NULL
{%- endif %};

INSERT INTO staging.played_titles (first_day, song_title, artist_name)
{% if again.what == 'all' -%}
{{ new_titles('sparkify.songplays') }};
{%- else -%}
{{ new_titles(candidate, reach.start_sql, reach.end_sql) }};
{%- endif %}

{% if again.what -%}
-- Songs are looked up again, under the publish lock: for all plays where songs is rebuilt whole; else for those that are
-- called like a song that changes, whenever they were played, and for the run's hours if its candidate knew other songs.
CREATE TEMP TABLE plays_to_match
DISTSTYLE KEY
DISTKEY (user_id)
AS
SELECT
    songplays.songplay_id,
    songplays.user_id,
    songplays.start_time,
    songplays.song_id,
    songplays.artist_id,
    songplays.song_title,
    songplays.artist_name,
    songplays.song_length
FROM sparkify.songplays AS songplays
{%- if again.what == 'titles' %}
{{ 'LEFT' if is_stale else 'INNER' }} JOIN changed_titles
    ON
        TRIM(songplays.song_title) = changed_titles.title
        AND TRIM(songplays.artist_name) = changed_titles.artist_name
{%- endif %}
{%- if again.what != 'all' %}
WHERE
    {{ in_reach('songplays.start_time', again.reach) }}
    {%- if again.what == 'titles' and is_stale %}
    AND (
        changed_titles.title IS NOT NULL
        OR (
            {{ in_reach('songplays.start_time', reach) | indent(8) }}
        )
    )
    {%- endif %}
{%- endif %};

CREATE TEMP TABLE matched_plays
DISTSTYLE KEY
DISTKEY (user_id)
AS
WITH catalogue AS (
    SELECT
        songs.song_id,
        songs.artist_id,
        songs.title,
        artist_observations.artist_name,
        songs.duration
    FROM sparkify.songs AS songs
    INNER JOIN staging.artist_observations AS artist_observations
        ON songs.song_id = artist_observations.song_id
)

{{ matched('plays_to_match', ['songplay_id'], ['songplay_id', 'user_id', 'start_time'], 'catalogue') }}
EXCEPT
SELECT
    songplay_id,
    user_id,
    start_time,
    song_id,
    artist_id
FROM plays_to_match;

UPDATE sparkify.songplays
SET
    song_id = matched_plays.song_id,
    artist_id = matched_plays.artist_id
FROM matched_plays
WHERE
    songplays.songplay_id = matched_plays.songplay_id
    AND songplays.user_id = matched_plays.user_id
    AND songplays.start_time = matched_plays.start_time
    {%- if again.what != 'all' %}
    AND {{ in_reach('songplays.start_time', again.reach) }}
    {%- endif %};
{%- endif %}
